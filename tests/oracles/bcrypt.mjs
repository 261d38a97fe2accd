// Tests Doorward's password hashes with npm's bcrypt, which has another maker.
//
// Usage: bcrypt.mjs, with the program in DOORWARD (default: target/debug/doorward).

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import bcrypt from 'bcrypt'

const PROGRAM = process.env.DOORWARD ?? 'target/debug/doorward'
const PASSWORDS = [
  'a',
  'correct horse battery staple',
  'pässwörter – naïve ☂ 密码',
  '0123456789'.repeat(7) + '01',
  '0123456789'.repeat(7) + '0',
  ' spaces around ',
]

const folder = mkdtempSync(join(tmpdir(), 'doorward-'))
let failed = 0
for (const password of PASSWORDS) {
  const env = { PATH: process.env.PATH, DOORWARD_DATA: folder }
  const ran = spawnSync(PROGRAM, ['hash'], { input: `${password}\n`, env, encoding: 'utf8' })
  const hash = ran.stdout.trim()
  const isSame = hash === bcrypt.hashSync(password, hash.slice(0, 29))
  const isOther = !bcrypt.compareSync(`${password.slice(0, -1)}~`, hash)
  const good = hash.startsWith('$2b$10$') && isSame && isOther
  console.log(`${good ? 'ok    ' : 'FAILED'} ${JSON.stringify(password)}${good ? '' : `: ${hash} ${ran.stderr}`}`)
  failed += Number(!good)
}
rmSync(folder, { recursive: true })
console.log(`\n${PASSWORDS.length - failed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
