// How long after a logout a guarded application elsewhere still accepts the token: the guard for Node, under load.
//
// Usage: bench/logouts.mjs [LOGOUTS], with the program in DOORWARD (default: target/release/doorward), after npm ci &&
// npm run build in clients/typescript and npm ci in examples/express-app.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAM = resolve(ROOT, process.env.DOORWARD ?? 'target/release/doorward')
const LOGOUTS = Number(process.argv[2] ?? 1_000)
/** Requests that are always under way beside the logouts. */
const LOAD = 8
/** The server lets a user be signed in a hundred times. */
const EACH = 50

const data = mkdtempSync(join(tmpdir(), 'doorward-bench-'))
const running = []
const env = { PATH: process.env.PATH, NO_COLOR: '1' }

async function start(program, args, more = {}) {
  const child = spawn(program, args, { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/[\w.]+:\d+/.exec(line)?.[0]
    if (url) return url
  }
  throw new Error(`${program} said no address`)
}

const agent = new Agent({ keepAlive: true })
function send(url, { method = 'GET', token, body } = {}) {
  return new Promise((done, failed) => {
    const headers = token ? { authorization: `Bearer ${token}` } : { 'content-type': 'application/json' }
    const asked = request(url, { method, headers, agent }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => (text += chunk)).on('end', () => done({ status: answer.statusCode, text }))
    })
    asked.on('error', failed).end(body && JSON.stringify(body))
  })
}

/** That many sign-ins, with as many users as they need. */
async function signIns(door, count) {
  const tokens = []
  const user = (n) => ({ name: `user ${n}`, email: `user-${n}@example.org`, password: 'a door is a promise' })
  const one = async (n) => {
    const path = n % EACH === 0 ? 'register' : 'login'
    const { text } = await send(`${door}/${path}`, { method: 'POST', body: user(Math.floor(n / EACH)) })
    tokens.push(JSON.parse(text).token)
  }
  for (let n = 0; n < count; n += EACH) await one(n)
  const rest = Array.from({ length: count }, (_, n) => n).filter((n) => n % EACH)
  const hands = Array.from({ length: availableParallelism() }, async () => {
    for (let n = rest.pop(); n !== undefined; n = rest.pop()) await one(n)
  })
  await Promise.all(hands)
  return tokens
}

try {
  const quietly = ['--dev', '--no-throttle', '--log-level', 'warn']
  const door = await start(PROGRAM, ['serve', ...quietly, '--data', data, '--listen', '127.0.0.1:0'])
  const create = ['client', 'create', '--name', 'bench', '--json', '--data', data]
  const made = execFileSync(PROGRAM, create, { env, encoding: 'utf8' })
  const { client_id: CLIENT_ID, client_secret: CLIENT_SECRET } = JSON.parse(made)
  const settings = { DOORWARD: door, CLIENT_ID, CLIENT_SECRET, PORT: '0' }
  const app = await start(process.execPath, [join(ROOT, 'examples/express-app/server.mjs')], settings)
  const [busy, ...tokens] = await signIns(door, LOGOUTS + 1)

  let [loading, served] = [true, 0]
  const load = Array.from({ length: LOAD }, async () => {
    for (; loading; served += 1) await send(`${app}/admin`, { token: busy })
  })
  const delays = []
  const began = performance.now()
  for (const token of tokens) {
    await send(`${door}/logout`, { method: 'POST', token })
    const left = performance.now()
    while ((await send(`${app}/admin`, { token })).status !== 401);
    delays.push(performance.now() - left)
  }
  const seconds = (performance.now() - began) / 1000
  loading = false
  await Promise.all(load)

  delays.sort((a, b) => a - b)
  const at = (share) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))].toFixed(1)
  const busyness = Math.round(served / seconds)
  console.log(`${delays.length} logouts, each until the application refused the token, beside ${busyness} requests/s`)
  console.log(`p50 ${at(0.5)} ms · p99 ${at(0.99)} ms · worst ${at(1)} ms (goal: p99 under 100 ms)`)
} finally {
  for (const child of running) child.kill()
  agent.destroy()
  rmSync(data, { recursive: true, force: true })
}
