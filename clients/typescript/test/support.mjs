// A separate Doorward, and a proxy to it that can hold or lose answers.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PROGRAM = resolve(ROOT, process.env.DOORWARD ?? 'target/debug/doorward')

export const PASSWORD = 'a door is a promise'
export const email = (name) => `${name}@example.org`
export const ada = { name: 'ada', email: email('ada'), password: PASSWORD }

/** Tells a test to stop all that it has started, the last first. */
export async function using(body) {
  const stops = []
  try {
    return await body((thing) => (stops.unshift(thing.stop), thing))
  } finally {
    for (const stop of stops) await stop()
  }
}

export async function serve(flags = [], env = {}, { isLimited = false, port = 0 } = {}) {
  const data = mkdtempSync(join(tmpdir(), 'doorward-client-'))
  const at = ['--data', data]
  const given = { env: { PATH: process.env.PATH, NO_COLOR: '1', ...env } }
  const run = (...args) => execFileSync(PROGRAM, [...args, ...at], { ...given, input: '', encoding: 'utf8' })
  let child, ended
  const server = {
    run,
    role: (name, role) => run('user', 'role', email(name), role),
    async start(port = 0) {
      const line = ['serve', ...at, '--listen', `127.0.0.1:${port}`, '--metrics-listen', '127.0.0.1:0', ...flags]
      const limits = isLimited ? [] : ['--no-throttle']
      child = spawn(PROGRAM, [...line, '--dev', ...limits, '--log-level', 'warn'], {
        ...given,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      ended = once(child, 'exit')
      for await (const line of createInterface({ input: child.stdout })) {
        const [, what, url] = /^(Doorward|Metrics) .* (http:\/\/127\.0\.0\.1:\d+)/.exec(line) ?? []
        if (what === 'Doorward') server.url = url
        if (what === 'Metrics') return void (server.metrics = url)
      }
      throw new Error('the server said no address')
    },
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      await ended
    },
    /** Ends it, and starts it again at the same address. */
    async restart(signal) {
      const { port } = new URL(server.url)
      await server.end(signal)
      await server.start(port)
    },
    /** How many refresh tokens were exchanged, by result. */
    async refreshes() {
      const counts = { rotated: 0, repeated: 0, reused: 0, refused: 0 }
      const text = await (await fetch(`${server.metrics}/metrics`)).text()
      for (const [, how, n] of text.matchAll(/^\w*refreshes\w*\{.*="(\w+)"\} (\d+)/gm)) counts[how] = Number(n)
      return counts
    },
    async stop() {
      await server.end()
      rmSync(data, { recursive: true })
    },
  }
  await server.start(port)
  return server
}

/**
 * A proxy to the server at `url`; `answer(path, status)` may hold the answer, lose it, or replace it by a failure with
 * this status.
 */
export async function wire(url, answer = async () => true) {
  const agent = new Agent({ keepAlive: true })
  const seen = []
  const proxy = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming)
    if (wires.away) return fail(outgoing, wires.away)
    const { method, headers } = incoming
    const ask = request(new URL(incoming.url, url), { method, headers, agent })
    ask.on('error', () => outgoing.destroy())
    ask.end(body)
    const [response] = await once(ask, 'response').catch(() => [])
    if (!response) return
    seen.push({ path: incoming.url, status: response.statusCode, headers, body: String(body) })
    const text = await buffer(response)
    const sent = await wires.answer(incoming.url, response.statusCode)
    if (typeof sent === 'number') return fail(outgoing, sent)
    if (!sent) return outgoing.destroy()
    outgoing.writeHead(response.statusCode, response.headers).end(text)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const wires = {
    url: `http://127.0.0.1:${proxy.address().port}`,
    seen,
    answer,
    /** If it is a status, the server gets no request at all. */
    away: 0,
    async stop() {
      proxy.closeAllConnections()
      proxy.close()
      agent.destroy()
    },
  }
  return wires
}

/** A failure: 503 as the server answers it, others as proxies do. */
function fail(outgoing, status) {
  if (status !== 503) return outgoing.writeHead(status, { 'content-type': 'text/html' }).end('<h1>No upstream</h1>')
  const problem = { status, code: 'unavailable', message: 'Temporarily unavailable: try again' }
  outgoing.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '1' })
  return outgoing.end(JSON.stringify(problem))
}

/**
 * An API that doesn't use our form: Doorward says whether the credential is good, and the refusal is plain text with
 * these headers. `origins` may read it from a page.
 */
export async function foreignApi(doorward, { refusal = {}, origins = [], status = 401, always = false } = {}) {
  const seen = []
  const isGood = async ({ authorization = '', cookie = '' }) =>
    (await fetch(`${doorward}/profile`, { headers: authorization ? { authorization } : { cookie } })).ok
  const api = createServer(async (request, answer) => {
    if (origins.includes(request.headers.origin)) {
      answer.setHeader('access-control-allow-origin', request.headers.origin)
      answer.setHeader('access-control-allow-credentials', 'true')
      answer.setHeader('access-control-allow-headers', 'authorization')
    }
    if (request.method === 'OPTIONS') return answer.writeHead(204).end()
    seen.push(request.headers)
    if (!always && (await isGood(request.headers))) return answer.end('things')
    answer.writeHead(status, { 'content-type': 'text/plain', ...refusal }).end('no')
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  const stop = () => (api.closeAllConnections(), api.close())
  return { url: `http://127.0.0.1:${api.address().port}`, seen, stop }
}

/** A store for the tokens that clients can share, and a test can inspect. */
export const shelf = (token = null) => ({ get: () => token, set: (one) => void (token = one) })

/** Asks until it is true, for this many seconds. */
export async function until(what, ask, seconds = 10) {
  for (let tries = 0; tries < seconds * 40; tries += 1) {
    if (await ask()) return
    await new Promise((wake) => setTimeout(wake, 25))
  }
  throw new Error(`it never came: ${what}`)
}

/** Holds the answers of `path` back until `count` requests were refused with 401. */
export function held(path, count) {
  let refused = 0
  let release
  const all = new Promise((resolve) => (release = resolve))
  return async (asked, status) => {
    if (asked.startsWith(path)) await all
    else if (status === 401 && ++refused >= count) release()
    return true
  }
}

/** A port that nobody listens on at the moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return String(port)
}

/** A program of the examples, with the address that it prints. */
export async function program(file, env) {
  const given = { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'inherit'] }
  const child = spawn(process.execPath, [file], given)
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill()
    await ended
  }
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/[\w.]+:\d+/.exec(line)?.[0]
    if (url) return { url, stop }
  }
  throw new Error(`${file} said no address`)
}
