// Raw lines of cookies: the guard for Node reads and judges them as the server and the guard in Rust do.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { createGuard } from 'doorward/node'
import { forRequest } from 'doorward/server'
import { using } from './support.mjs'

const table = JSON.parse(readFileSync(new URL('../../../tests/verdicts/cookies.json', import.meta.url)))

async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  return { port, url: `http://127.0.0.1:${port}`, stop: () => (server.closeAllConnections(), server.close()) }
}

const LATER = table.now + 800

/** The answers of a server with the table's sessions. */
function introspected(secret) {
  const { id, user, state } = table.sessions.find((one) => one.secret === secret) ?? {}
  if (state !== 'live') return { active: false, code: state ? `session_${state}` : 'token_invalid' }
  const { role } = table.users.find((one) => one.id === user)
  return { active: true, token_type: 'session_secret', sub: user, sid: id, role, ver: 1, iat: table.now - 100, exp: LATER }
}

/** Its feed, and its answers about secrets, which it counts. */
async function publisher() {
  const sessions = table.sessions.filter(({ state }) => state === 'ended').map(({ id }) => [id, 800])
  const users = table.least_versions.map((least) => [...least, 800])
  const feed = [['reset', {}], ['revoked', { sessions, users }], ['current', { keys: 'one' }]]
  const asked = []
  const server = createServer(async (incoming, outgoing) => {
    if (incoming.url === '/.well-known/doorward') return outgoing.end('{}')
    if (incoming.url === '/revocations') {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const [event, data] of feed) outgoing.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
      return
    }
    let form = ''
    for await (const chunk of incoming) form += chunk
    const tokens = new URLSearchParams(form).get('tokens').split(' ')
    asked.push(tokens)
    outgoing.end(JSON.stringify({ tokens: tokens.map(introspected) }))
  })
  return { ...(await listening(server)), asked }
}

/** The identity, and the cookies that the application sees, in every place where Node has them. */
function saying(incoming) {
  const { headers, rawHeaders, headersDistinct } = incoming.raw ?? incoming
  return { ...incoming.identity, cookie: [headers.cookie, ...rawHeaders, ...(headersDistinct.cookie ?? [])].join(';') }
}

const frames = {
  express: (guard) => {
    const app = express()
    app.get('/', guard.express({ optional: true }), (incoming, outgoing) => outgoing.json(saying(incoming)))
    return listening(createServer(app))
  },
  fastify: async (guard) => {
    const app = fastify()
    app.addHook('onRequest', guard.fastify({ optional: true }))
    app.get('/', async (incoming) => saying(incoming))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, stop: () => app.close() }
  },
}

/** Sends each line byte for byte, with the browser's headers about the origin of the request. */
async function ask(port, lines, fetch = []) {
  const headers = ['host', 'app.example.com', ...lines.flatMap((line) => ['cookie', line]), ...fetch.flat()]
  const asked = request({ port, host: '127.0.0.1', path: '/', headers })
  asked.end()
  const [answer] = await once(asked, 'response')
  let body = ''
  for await (const chunk of answer) body += chunk
  const { session, code, cookie } = JSON.parse(body)
  const verdict = session ? 'ok' : (code ?? 'token_missing')
  return { status: answer.statusCode, challenge: answer.headers['www-authenticate'], verdict, session, cookie }
}

for (const [name, frame] of Object.entries(frames)) {
  test(`x13_x03_the_shared_table_of_cookie_lines: ${name}`, { timeout: 60_000 }, () =>
    using(async (use) => {
      const server = use(await publisher())
      const wrong = []
      for (const [setting, { issuer, ...cookies }] of Object.entries(table.settings)) {
        const { audience, secret } = table
        const client = { id: 'guard', secret: 'of the test' }
        const options = { issuer, audience, secret, cookies, client, server: server.url, now: () => table.now * 1000 }
        const guard = await createGuard(options)
        use({ stop: () => guard.close() })
        const app = use(await frame(guard))
        const rows = table.rows.filter((row) => row.setting === setting)
        assert.ok(rows.length > 50)
        for (const { name, lines, fetch, ...expected } of rows) {
          const before = server.asked.length
          const { status, challenge, verdict, session, cookie } = await ask(app.port, [...lines, '__Host-device=d'], fetch)
          if (verdict !== expected.verdict || session !== expected.session) wrong.push(`${setting}, ${name}: ${verdict} ${session}`)
          assert.ok(server.asked.length <= before + 1, `${name}: more than one question`)
          if (verdict === 'ambiguous_cookies') assert.deepEqual([status, challenge?.startsWith('Bearer')], [401, true])
          if (verdict === 'too_many_cookies') assert.deepEqual([status, challenge], [400, undefined])
          const pairs = (cookie ?? '').split(';').map((pair) => pair.trim())
          const isOurs = (pair) => pair.startsWith(`${cookies.refresh}=`) || pair.startsWith('__Host-device=')
          assert.ok(!pairs.some(isOurs), `${name}: the application got what is for the server`)
        }
      }
      assert.deepEqual(wrong, [])
      assert.ok(server.asked.every((secrets) => secrets.length <= 64))
    }),
  )
}

test('x13_a_client_for_one_request_sends_each_cookie_as_it_came', { timeout: 60_000 }, () =>
  using(async (use) => {
    const seen = []
    const set = []
    const server = createServer((incoming, outgoing) => {
      seen.push(incoming.headers.cookie)
      outgoing.setHeader('set-cookie', set.splice(0)).setHeader('content-type', 'application/json').end('{}')
    })
    const { url } = use(await listening(server))
    const sending = async (cookies, ...answers) => {
      const handed = []
      const client = forRequest({ url }, cookies ? { cookie: cookies } : {}, (line) => handed.push(line))
      set.push(...answers)
      for (let n = 0; n < 2; n += 1) await client.fetch('/')
      return [...seen.splice(0), handed.length]
    }
    const real = '__Host-token=real'
    const planted = '\u00a0__Host-token=planted'
    for (const cookies of [`${real}; ${planted}`, `${planted}; ${real}`, `${real}; __Host-token=planted`, 'a=; b; =c; d="e']) {
      assert.deepEqual(await sending(cookies), [cookies, cookies, 0])
    }
    // A cookie that the server sets replaces all of exactly that name, and no other.
    const both = `a=b; ${real}; ${planted}; __Host-token=other`
    assert.deepEqual(await sending(both, '__Host-token=new; Path=/; HttpOnly'), [both, `a=b; ${planted}; __Host-token=new`, 1])
    assert.deepEqual(await sending(both, '__Host-token=; Max-Age=0'), [both, `a=b; ${planted}`, 1])
    assert.deepEqual(await sending(null, 'a=b'), [undefined, 'a=b', 1])
  }),
)

test('x02_a_client_for_one_request_sends_the_refresh_token_to_its_server_alone', { timeout: 60_000 }, () =>
  using(async (use) => {
    const seen = []
    const echo = () => createServer((incoming, outgoing) => outgoing.end(String(seen.push(incoming.headers.cookie))))
    const [server, api] = [use(await listening(echo())), use(await listening(echo()))]
    const ours = ['token=t', '__Host-refresh_token=r', 'refresh_token=r', '__Host-device=d', 'device=d', 'refresh_token2=x']
    const client = forRequest({ url: server.url, apis: [api.url] }, { cookie: ours.join('; ') }, () => {})
    await client.fetch(`${server.url}/profile`)
    await client.fetch(`${api.url}/things`)
    assert.deepEqual(seen, [ours.join('; '), 'token=t; refresh_token2=x'])
  }),
)

test('x02_a_client_for_one_request_sends_nothing_that_was_planted_where_another_site_asks', { timeout: 60_000 }, () =>
  using(async (use) => {
    const seen = []
    const server = use(await listening(createServer((incoming, outgoing) => outgoing.end(String(seen.push(incoming.headers.cookie))))))
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    const cookie = '__Secure-sessionId=planted; token=planted; __Host-token=real'
    const sent = async (headers, options = {}) => {
      await forRequest({ url: server.url, ...options }, headers, () => {}).fetch('/')
      return seen.pop()
    }
    for (const as of [(headers) => headers, (headers) => new Headers(headers)]) {
      assert.equal(await sent(as({ ...link, cookie })), '__Host-token=real')
      assert.equal(await sent(as({ ...link, cookie }), { lax: true }), cookie)
      assert.equal(await sent(as({ ...link, cookie, origin: 'null' }), { lax: true }), '__Host-token=real')
      for (const site of ['same-site', 'same-origin', 'none']) assert.equal(await sent(as({ ...link, 'sec-fetch-site': site, cookie })), cookie)
    }
  }),
)
