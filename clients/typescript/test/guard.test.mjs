// The guard for Node: the common verdict for each request of the shared table, in Express and in Fastify.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { answer, createGuard } from 'doorward/node'
import { ada, freePort, serve, using } from './support.mjs'

const table = JSON.parse(readFileSync(new URL('../../../tests/verdicts/tokens.json', import.meta.url)))

async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: server.address().port, stop: () => (server.closeAllConnections(), server.close()) }
}

/** A server that publishes the table's keys and revocations, and counts requests. */
async function publisher(said = { active: false }, asked = []) {
  const feed = [
    ['reset', {}],
    ['revoked', table.revoked],
    ['current', { keys: 'one' }],
  ]
  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`)
    if (incoming.url === '/.well-known/jwks.json') return outgoing.end(JSON.stringify(table.jwks))
    if (incoming.url === '/.well-known/doorward') return outgoing.end('{}')
    if (incoming.url === '/introspect') return outgoing.end(JSON.stringify({ tokens: [said] }))
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const [event, data] of feed) outgoing.write(`event: ${event}\nid: e-1\ndata: ${JSON.stringify(data)}\n\n`)
  })
  return { ...(await listening(server)), asked }
}

const cookies = { token: '__Host-token', session: '__Host-sessionId' }
const settings = { issuer: table.issuer, audience: table.audience, cookies, now: () => table.now * 1000 }
const client = { id: 'guard', secret: 'of the test' }
const FEED = 'a secret of the feed, 32 bytes long'

/** One guarded route; raw bytes, since `fetch` would not send what some attacks need. */
const frames = {
  express: (guard, exposed) => {
    const app = express()
    if (exposed) app.use((_, outgoing, next) => (outgoing.set('access-control-expose-headers', exposed), next()))
    app.get('/', guard.express(), (incoming, outgoing) => outgoing.json(incoming.identity))
    return listening(createServer(app))
  },
  fastify: async (guard, exposed) => {
    const app = fastify()
    if (exposed) app.addHook('onRequest', async (_, reply) => reply.header('access-control-expose-headers', exposed) && undefined)
    app.addHook('onRequest', guard.fastify())
    app.get('/', (incoming) => incoming.identity)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, stop: () => app.close() }
  },
}

async function ask(port, headers) {
  const asked = request({ port, host: '127.0.0.1', path: '/', headers })
  asked.end()
  const [answer] = await once(asked, 'response')
  let body = ''
  for await (const chunk of answer) body += chunk
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(body) }
}

for (const [name, frame] of Object.entries(frames)) {
  test(`the shared table of verdicts: ${name}`, { timeout: 60_000 }, () =>
    using(async (use) => {
      const server = use(await publisher())
      const url = `http://127.0.0.1:${server.port}`
      const guards = {
        hs256: await createGuard({ ...settings, server: url, secret: table.secret, client }),
        es256: await createGuard({ ...settings, server: url, client }),
      }
      const apps = {}
      for (const [key, guard] of Object.entries(guards)) {
        use({ stop: () => guard.close() })
        apps[key] = use(await frame(guard))
      }
      const wrong = []
      for (const { name, key, verdict, authorization, cookie } of table.tokens) {
        const headers = { ...(authorization !== undefined && { authorization }), ...(cookie !== undefined && { cookie }) }
        const answer = await ask(apps[key].port, headers)
        const got = answer.status === 200 ? 'ok' : answer.body.code
        if (got !== verdict) wrong.push(`${key} ${name}: ${got}, not ${verdict}`)
        assert.equal(answer.status === 200, typeof answer.body.user === 'string')
        if (verdict !== 'ok') assert.match(answer.headers['www-authenticate'], /^Bearer/)
      }
      assert.deepEqual(wrong, [])
      assert.ok(table.tokens.length > 200)
    }),
  )

  test(`a page of another origin may read the challenge, beside what its CORS exposes: ${name}`, { timeout: 60_000 }, () =>
    using(async (use) => {
      const guard = await createGuard({ ...settings, jwks: table.jwks })
      for (const exposed of [undefined, 'X-Total']) {
        const { port } = use(await frame(guard, exposed))
        const { status, headers } = await ask(port, { authorization: 'Bearer broken' })
        assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer error="invalid_token"'])
        const names = exposed ? `${exposed}, www-authenticate` : 'www-authenticate'
        assert.equal(headers['access-control-expose-headers'], names)
      }
    }),
  )
}

test('a session whose user has changed is asked about again, and nothing is guessed', { timeout: 60_000 }, () =>
  using(async (use) => {
    const [[carol, version]] = table.revoked.users
    const sid = '01890a5d-ac96-774b-bcce-b302099a8059'
    const times = { iat: table.now - 10, exp: table.now + 10 }
    const said = { active: true, token_type: 'session_secret', sub: carol, sid, role: 'user', ver: version - 1, ...times }
    const server = use(await publisher(said))
    const guard = await createGuard({ ...settings, server: `http://127.0.0.1:${server.port}`, client })
    use({ stop: () => guard.close() })
    const headers = new Headers({ cookie: `__Host-sessionId=${'A'.repeat(43)}` })
    const asks = () => server.asked.filter((one) => one === 'POST /introspect').length
    assert.equal(await guard.check({ headers }), 'unavailable')
    assert.equal(asks(), 1)
    Object.assign(said, { role: 'admin', ver: version })
    const { user, session, mode, ...rest } = await guard.check({ headers })
    assert.deepEqual([user, session, mode, rest.role], [carol, sid, 'session', 'admin'])
    await guard.check({ headers })
    assert.equal(asks(), 2)
    // Another kind of credential is not accepted as a session secret.
    said.token_type = 'refresh_token'
    const other = new Headers({ cookie: `__Host-sessionId=${'B'.repeat(43)}` })
    assert.equal(await guard.check({ headers: other }), 'token_invalid')
  }),
)

test('j06_j07_no_key_and_no_address_in_a_token_is_used: nobody is asked', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await publisher())
    const attacker = use(await publisher())
    const guard = await createGuard({ ...settings, jwks: table.jwks })
    const [good] = table.tokens.filter(({ key, name }) => key === 'es256' && name === 'a good token')
    const [, payload, signature] = good.authorization.split(' ')[1].split('.')
    const kid = table.jwks.keys[0].kid
    for (const name of ['jku', 'x5u', 'jwk', 'kid']) {
      const url = `http://127.0.0.1:${attacker.port}/`
      const header = { alg: 'ES256', kid, typ: 'at+jwt', [name]: name === 'jwk' ? table.jwks.keys[0] : url }
      const token = [Buffer.from(JSON.stringify(header)).toString('base64url'), payload, signature].join('.')
      const headers = new Headers({ authorization: `Bearer ${token}` })
      assert.equal(await guard.check({ headers }), 'token_invalid')
    }
    assert.deepEqual([server.asked, attacker.asked], [[], []])
  }),
)

test('j05_unknown_kids_make_no_reload_storm', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await publisher())
    const guard = await createGuard({ ...settings, server: `http://127.0.0.1:${server.port}`, withoutRevocations: true })
    const unknown = table.tokens.filter(({ key, name }) => key === 'es256' && name.startsWith('J05'))
    assert.ok(unknown.length > 5)
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, n) => {
        const { authorization } = unknown[n % unknown.length]
        return guard.check({ headers: new Headers({ authorization }) })
      }),
    )
    assert.deepEqual(new Set(verdicts), new Set(['token_invalid']))
    assert.deepEqual(server.asked, ['GET /.well-known/doorward', 'GET /.well-known/jwks.json'])
  }),
)

test('j41_mixed_keys_and_one_kid_twice_are_refused_at_start', async () => {
  const [key] = table.jwks.keys
  const oct = { kty: 'oct', k: 'c2VjcmV0', kid: 'other' }
  for (const keys of [[key, key], [key, oct], [oct], [{ ...key, d: key.x }], [{ ...key, alg: 'HS256' }]]) {
    await assert.rejects(createGuard({ jwks: { keys } }), TypeError)
  }
  await assert.rejects(createGuard({ jwks: table.jwks, secret: table.secret }), /secret or jwks/)
})

test('a guard waits for its server, and learns issuer and cookies from it', { timeout: 60_000 }, () =>
  using(async (use) => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/auth`
    const starting = createGuard({ server: url, feedSecret: FEED })
    const flags = ['--set', 'public_url=http://localhost:5173', '--base-path', '/auth', '--set', 'cookie.token=jwt']
    const server = use(await serve(flags, { DOORWARD_FEED_SECRET: FEED }, { port }))
    const guard = await starting
    use({ stop: () => guard.close() })
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ ...ada, mode: 'bearer' })
    const { token } = await (await fetch(`${server.url}/auth/register`, { method: 'POST', headers, body })).json()
    const check = (guard, headers) => guard.check({ headers: new Headers(headers) })
    assert.equal((await check(guard, { authorization: `Bearer ${token}` })).role, 'user')
    assert.equal((await check(guard, { cookie: `jwt=${token}`, 'sec-fetch-site': 'same-origin' })).mode, 'cookie')

    // What is typed counts, and what is wrong with it is said once.
    const said = []
    const warn = console.warn
    console.warn = (text) => said.push(text)
    try {
      const other = await createGuard({ server: url, feedSecret: FEED, issuer: 'https://other.example' })
      use({ stop: () => other.close() })
      for (let n = 0; n < 3; n += 1) assert.equal(await check(other, { authorization: `Bearer ${token}` }), 'token_invalid')
      assert.equal(await check(other, { authorization: `Bearer ${token.slice(0, -4)}AAAA` }), 'token_invalid')
    } finally {
      console.warn = warn
    }
    assert.deepEqual(said, ['doorward: refused a token: iss is "http://localhost:5173", expected "https://other.example"'])
  }),
)

test('a guard says at its start what is missing', async () => {
  await assert.rejects(createGuard({}), /Give server, secret or jwks/)
  await assert.rejects(createGuard({ secret: 'short' }), /32 bytes/)
  await assert.rejects(createGuard({ server: 'http://accounts.example.com' }), /plain http/)
  await assert.rejects(createGuard({ server: 'http://127.0.0.1:1', withoutRevocations: true }), /No Doorward answers at http:\/\/127\.0\.0\.1:1\/: bad port/)
  await using(async (use) => {
    const server = use(await publisher())
    const url = `http://127.0.0.1:${server.port}`
    await assert.rejects(createGuard({ server: url }), /withoutRevocations/)
  })
})

test('roles, permissions and visitors without a credential', { timeout: 60_000 }, () =>
  using(async (use) => {
    const guard = await createGuard({ ...settings, jwks: table.jwks, roles: { admin: ['posts.write'] } })
    const app = express()
    const say = (incoming, outgoing) => outgoing.json({ who: incoming.identity?.role ?? 'nobody' })
    app.get('/open', guard.express({ optional: true }), say)
    app.get('/admin', guard.express({ role: 'admin' }), say)
    app.get('/posts', guard.express({ permission: 'posts.write' }), say)
    const { port, stop } = await listening(createServer(app))
    use({ stop })
    const named = (name) => table.tokens.find((one) => one.key === 'es256' && one.name === name).authorization
    const get = async (path, authorization) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: authorization ? { authorization } : {} })
      const { who, code } = await answer.json()
      return `${answer.status} ${who ?? code}`
    }
    const [user, admin, bad] = [named('a good token'), named('the least version'), named('J23: expired')]
    assert.equal(await get('/open'), '200 nobody')
    assert.equal(await get('/open', user), '200 user')
    assert.equal(await get('/open', bad), '401 token_expired')
    for (const path of ['/admin', '/posts']) {
      assert.equal(await get(path), '401 token_missing')
      assert.equal(await get(path, user), '403 forbidden')
      assert.equal(await get(path, admin), '200 admin')
    }
  }),
)

test('each refusal has the status and the words of the server', () => {
  const codes = readFileSync(new URL('../src/codes.ts', import.meta.url), 'utf8')
  const source = readFileSync(new URL('../src/node/answer.ts', import.meta.url), 'utf8')
  const names = [...source.matchAll(/^  (\w+): \[\d/gm)].map(([, name]) => name)
  // The codes of the guard in Rust, no more and no fewer.
  const rust = ['doorward-core/src/refusal.rs', 'doorward-guard/src/denied.rs'].map((file) => readFileSync(new URL(`../../../crates/${file}`, import.meta.url), 'utf8'))
  const theirs = [...rust.join('').matchAll(/Self::\w+ => "(\w+)"/g)].map(([, name]) => name)
  assert.deepEqual(names.toSorted(), theirs.toSorted())
  for (const name of names) {
    const { status, body } = answer(name)
    const { code, message } = JSON.parse(body)
    assert.equal(code, name)
    assert.match(codes, new RegExp(`${status}: ${message}[^|]*\\| '${name}'`), name)
  }
})
