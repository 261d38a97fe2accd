// What `npm pack` makes of a clean clone: its files, its entries, and its types.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { using } from './support.mjs'

const HERE = fileURLToPath(new URL('..', import.meta.url))
const described = JSON.parse(readFileSync(join(HERE, 'package.json')))
const entries = Object.keys(described.exports).map((path) => join('doorward', path))

/** The package, built and packed without what is not in the repository, and installed into an empty project. */
function installed(use) {
  const place = mkdtempSync(join(tmpdir(), 'doorward-pack-'))
  use({ stop: () => rmSync(place, { recursive: true }) })
  const [clone, project] = [join(place, 'clone'), join(place, 'project')]
  for (const one of ['src', 'package.json', 'package-lock.json', 'tsconfig.json', 'README.md', 'test']) cpSync(join(HERE, one), join(clone, one), { recursive: true })
  symlinkSync(join(HERE, 'node_modules'), join(clone, 'node_modules'))
  const run = (where, program, ...args) => execFileSync(program, args, { cwd: where, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const [{ filename, files }] = JSON.parse(run(clone, 'npm', 'pack', '--json', '--silent', '--pack-destination', place).replace(/^[^[]*/s, ''))
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "shop", "private": true, "type": "module" }')
  run(project, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--omit=optional', '--omit=peer', join(place, filename))
  return { project, files: files.map(({ path }) => path), node: (...args) => run(project, process.execPath, ...args) }
}

/** The optional peers of some entries, which the project would install. */
function addPeers(project, names) {
  for (const name of names) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(HERE, 'node_modules', name), join(project, 'node_modules', name))
  }
}

const USE = `
import { createClient, type Code, DoorwardError, type User } from 'doorward'
import { devices, endOtherDevices, updateProfile } from 'doorward/account'
import { defineElements } from 'doorward/elements'
import { useUser } from 'doorward/react'
import { RequireAuth, SignInForm } from 'doorward/react/forms'
import { through } from 'doorward/axios'
import { forRequest } from 'doorward/server'
import { createServer } from 'node:http'
import { createGuard, type Refusal } from 'doorward/node'

const client = createClient({ url: 'https://accounts.example.com' })
const user: User = await updateProfile(client, { name: 'Ada' })
const ended: number = await endOtherDevices(client)
const names: string[] = (await devices(client)).map(({ device }) => device)
const one = forRequest({ url: 'https://accounts.example.com' }, {}, () => {})
const guard = await createGuard({ secret: 'x'.repeat(32) })
const shown = useUser(one)
const code: Code = 'token_stale' satisfies Refusal
createServer((request, response) => guard.express()(request, response, () => response.end()))
export { DoorwardError, RequireAuth, SignInForm, code, defineElements, ended, names, shown, through, user }
`

test('what is published is whole: its files, entries and types', { timeout: 120_000 }, () =>
  using(async (use) => {
    const { project, files, node } = installed(use)
    const sources = readdirSync(join(HERE, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'))
    const built = sources.flatMap((name) => ['.js', '.d.ts'].map((end) => `dist/${name.replace(/\.ts$/, end)}`))
    assert.deepEqual(files.toSorted(), [...built, 'README.md', 'package.json'].toSorted())
    // Nothing comes along: the peers are optional, and what is for development stays away.
    assert.deepEqual(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.')), ['doorward'])

    const importing = (names) => node('--input-type=module', '--eval', names.map((name) => `await import('${name}')`).join('\n'))
    importing(entries.filter((name) => !/react|node/.test(name)))
    addPeers(project, ['jose', 'react'])
    importing(entries)

    addPeers(project, ['@types/node', '@types/react', 'csstype', 'undici-types'])
    writeFileSync(join(project, 'use.ts'), USE)
    const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false }
    const compilerOptions = { ...strict, noEmit: true, target: 'es2022', module: 'nodenext', lib: ['es2024', 'dom', 'dom.iterable'], types: ['node'] }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    try {
      node(join(HERE, 'node_modules/typescript/bin/tsc'), '--project', project)
      // With the types of the frameworks, which don't all stand this strictness themselves.
      addPeers(project, ['@types/express', 'fastify'])
      cpSync(join(HERE, 'test/types/guarded.ts'), join(project, 'use.ts'))
      node(join(HERE, 'node_modules/typescript/bin/tsc'), '--project', project, '--skipLibCheck')
    } catch ({ stdout, message }) {
      assert.fail(stdout || message)
    }
  }),
)
