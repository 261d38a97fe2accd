// The client in Node, with a real server: what it sends, to whom, and what makes it sign out.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DoorwardError, createClient } from 'doorward'
import { changePassword, devices as devicesOf, endDevice } from 'doorward/account'
import { forRequest } from 'doorward/server'
import { ada, held, serve, shelf, until, using, wire } from './support.mjs'

const story = (name, body) => test(name, { timeout: 60_000 }, () => using(body))

const signedIn = async (url, token) => (await fetch(`${url}/profile`, { headers: token })).status === 200

/** The token that this client sends. */
async function tokenOf(client, line) {
  await client.profile()
  const { authorization } = line.seen.at(-1).headers
  return { authorization }
}

/** Makes Ada's credentials stale: the next request has to refresh. */
async function promote(server, token) {
  server.role('ada', 'admin')
  await until('the new role', async () => !(await signedIn(server.url, token)))
}

/** An application that echoes what it got. */
async function echo() {
  const seen = []
  const site = createServer((request, answer) => {
    seen.push(request.headers)
    answer.end('{}')
  })
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  const stop = () => (site.closeAllConnections(), site.close())
  return { url: `http://127.0.0.1:${site.address().port}`, seen, stop }
}

test('the core stays under 5 kB', () => {
  const files = ['index', 'client', 'kept', 'origins', 'error'].map((name) => readFileSync(new URL(`../dist/${name}.js`, import.meta.url)))
  assert.ok(gzipSync(Buffer.concat(files)).length < 5_000)
})

story('registering, signing in and out, and looking at oneself', async (use) => {
  const server = use(await serve())
  const client = createClient({ url: server.url })
  const told = []
  client.onChange((user) => told.push(user?.name ?? user))
  assert.equal(client.user, undefined)
  await assert.rejects(client.profile(), { code: 'token_missing', status: 401, tryAgain: false })

  const user = await client.register(ada)
  assert.equal(user.email, ada.email)
  assert.deepEqual(await client.profile(), user)
  const phone = createClient({ url: server.url })
  await phone.login(ada)
  const devices = await devicesOf(client)
  assert.deepEqual(devices.map((device) => [device.mode, device.current]), [['bearer', false], ['bearer', true]])
  await endDevice(client, devices[0].id)
  assert.equal((await phone.fetch(`${server.url}/profile`)).status, 401)
  assert.equal(phone.user, null)

  await phone.login(ada)
  assert.equal(await client.logoutAll(), 2)
  assert.equal(client.user, null)
  await assert.rejects(phone.profile(), { code: 'session_ended' })
  await client.login(ada)
  await client.logout()
  assert.deepEqual(told, [null, 'ada', null, 'ada', null])
})

story('what was wrong is said by code, and field by field', async (use) => {
  const server = use(await serve())
  const client = createClient({ url: server.url })
  const wrong = await client.register({ name: '', email: 'no', password: 'x' }).catch((error) => error)
  assert.ok(wrong instanceof DoorwardError)
  assert.equal(wrong.code, 'invalid_input')
  assert.deepEqual(wrong.fields.map(({ field }) => field).sort(), ['email', 'name', 'password'])
  await client.register(ada)
  await assert.rejects(client.login({ ...ada, password: 'wrong' }), { code: 'invalid_credentials', tryAgain: false })
  assert.equal(client.user.name, 'ada')
  await assert.rejects(createClient({ url: 'http://127.0.0.1:1' }).login(ada), { code: 'network', tryAgain: true })
})

story('the credential goes to Doorward and to the listed origins, and to nobody else', async (use) => {
  const server = use(await serve())
  const [api, stranger] = [use(await echo()), use(await echo())]
  const client = createClient({ url: server.url, apis: [api.url] })
  await client.register(ada)
  assert.equal((await client.fetch('/profile')).status, 200)
  await client.fetch(`${api.url}/things`)
  await client.fetch(`${stranger.url}/things`)
  assert.match(api.seen[0].authorization, /^Bearer ey/)
  assert.equal(stranger.seen[0].authorization, undefined)

  const options = { url: server.url, apis: [api.url], address: '192.0.2.7' }
  const forwarding = forRequest(options, { cookie: 'token=secret; other=one' }, () => {})
  await forwarding.fetch(`${api.url}/things`)
  await forwarding.fetch(`${stranger.url}/things`)
  assert.equal(api.seen[1].cookie, 'token=secret; other=one')
  assert.equal(stranger.seen[1].cookie, undefined)
  // Doorward alone is told who the visitor is.
  const line = use(await wire(server.url))
  await forRequest({ ...options, url: line.url }, {}, () => {}).profile().catch(() => {})
  assert.equal(line.seen[0].headers['x-forwarded-for'], '192.0.2.7')
  assert.equal(api.seen[1]['x-forwarded-for'], undefined)
})

story('50 requests at the moment of expiry are one rotation and 50 successes', async (use) => {
  const server = use(await serve(['--access-ttl', '4s']))
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  const token = await tokenOf(client, line)
  await until('the end of the token', async () => !(await signedIn(server.url, token)))
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.fetch('/profile')))
  assert.deepEqual(answers.map((answer) => answer.status), Array(50).fill(200))
  assert.deepEqual(await server.refreshes(), { rotated: 1, repeated: 0, reused: 0, refused: 0 })
})

story('50 requests that are refused together wait for one refresh, and are repeated with their bodies', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  await promote(server, await tokenOf(client, line))
  const headers = { 'content-type': 'application/json' }
  const rename = (n) => client.fetch('/profile', { method: 'PATCH', body: `{"name":"ada ${n}"}`, headers })
  line.answer = held('/refresh', 50)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => rename(n)))
  assert.deepEqual(answers.map((answer) => answer.status), Array(50).fill(200))
  assert.equal((await server.refreshes()).rotated, 1)
  assert.equal(client.user.name, 'ada')
})

story('50 renders on a server at the moment of expiry share no state, and make one rotation', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const store = shelf()
  const first = createClient({ url: line.url, store })
  await first.register(ada)
  await promote(server, await tokenOf(first, line))
  const renders = Array.from({ length: 50 }, () => createClient({ url: line.url, store }))
  const names = await Promise.all(renders.map((client) => client.profile().then((user) => user.name)))
  assert.deepEqual(names, Array(50).fill('ada'))
  const { rotated, reused, refused } = await server.refreshes()
  assert.deepEqual([rotated, reused, refused], [1, 0, 0])
  await createClient({ url: server.url, store }).refresh()
  assert.equal((await server.refreshes()).reused, 0)
})

story('50 renders with the cookies of one visitor hand on what renews them', async (use) => {
  const server = use(await serve())
  const login = await fetch(`${server.url}/register`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...ada, mode: 'cookie' }),
  })
  const set = login.headers.getSetCookie().map((one) => one.split(';')[0])
  const cookie = set.filter((one) => !one.endsWith('=')).join('; ')
  await promote(server, { cookie })
  const sent = Array.from({ length: 50 }, () => [])
  const render = (headers) => forRequest({ url: server.url }, { cookie }, (one) => headers.push(one)).profile()
  const users = await Promise.all(sent.map(render))
  assert.deepEqual(users.map((user) => user.role), Array(50).fill('admin'))
  const refreshed = sent.map((headers) => headers.find((one) => one.startsWith('refresh_token=')).split(';')[0])
  assert.equal(new Set(refreshed).size, 1)
  assert.equal((await server.refreshes()).rotated, 1)
  const withoutRefresh = forRequest({ url: server.url }, { cookie: cookie.replace(/; refresh_token=.*/, '') }, () => {})
  await assert.rejects(withoutRefresh.profile(), { code: 'token_stale' })
  assert.equal(withoutRefresh.refreshUrl('/a?b'), `${server.url}/refresh?return_to=%2Fa%3Fb`)
  const inside = forRequest({ url: server.url, publicUrl: 'https://example.com/auth' }, {}, () => {})
  assert.equal(inside.refreshUrl('https://example.com/a'), 'https://example.com/auth/refresh?return_to=https%3A%2F%2Fexample.com%2Fa')
  assert.equal(inside.signInUrl('https://example.com/a'), 'https://example.com/auth/login?return_to=https%3A%2F%2Fexample.com%2Fa')
})

story('a lost answer to a refresh signs nobody out', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  let losses = 2
  line.answer = async (path) => path !== '/refresh' || losses-- <= 0
  await promote(server, await tokenOf(client, line))
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.fetch('/profile')))
  assert.deepEqual(answers.map((answer) => answer.status), Array(50).fill(200))
  await client.refresh()
  assert.deepEqual(await server.refreshes(), { rotated: 2, repeated: 2, reused: 0, refused: 0 })
  assert.equal(client.user.name, 'ada')
})

story('a server that is started again in between signs nobody out', async (use) => {
  const server = use(await serve())
  const client = createClient({ url: server.url })
  await client.register(ada)
  await server.end('SIGKILL')
  const asked = client.refresh()
  await server.restart()
  await asked
  assert.equal((await client.profile()).name, 'ada')
})

story('no answer and 503 change nothing and say so; the next call renews', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  const told = []
  client.onChange((user) => told.push(user))
  line.answer = async () => false
  await assert.rejects(client.refresh(), { code: 'network', tryAgain: true })
  await assert.rejects(client.profile(), { code: 'network', tryAgain: true })
  line.answer = async () => 503
  await assert.rejects(client.refresh(), { code: 'unavailable', tryAgain: true, retryAfter: 1 })
  line.answer = async (path) => (path === '/refresh' ? 503 : true)
  await promote(server, { authorization: line.seen.findLast(({ headers }) => headers.authorization).headers.authorization })
  assert.equal((await client.fetch('/profile')).status, 503)
  line.answer = async () => true
  await client.refresh()
  assert.equal((await client.profile()).name, 'ada')
  assert.ok(!told.includes(null))
})

story('what a proxy says in place of a server that is away changes nothing and says so', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  const told = []
  client.onChange((user) => told.push(user))
  for (const status of [502, 503, 504]) {
    line.away = status
    const expected = { code: status === 503 ? 'unavailable' : 'unexpected', status, tryAgain: true }
    for (const call of ['profile', 'refresh', 'logout', 'logoutAll']) {
      await assert.rejects(client[call](), expected, `${call} ${status}`)
    }
    await assert.rejects(client.login(ada), expected)
    await assert.rejects(client.register(ada), expected)
  }
  line.away = 500
  await assert.rejects(client.profile(), { code: 'unexpected', status: 500, tryAgain: false })
  line.away = 0
  assert.equal((await client.profile()).name, 'ada')
  assert.deepEqual(told, [])
})

story('a refresh whose answer a proxy lost is asked for again until it is there', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const store = shelf()
  const client = createClient({ url: line.url, store })
  await client.register(ada)
  const before = store.get()
  let losses = 1
  line.answer = async (path) => (path === '/refresh' && losses-- > 0 ? 504 : true)
  await assert.rejects(client.refresh(), { status: 504, tryAgain: true })
  await until('the successor', () => store.get() !== before)
  const { rotated, repeated, reused } = await server.refreshes()
  assert.deepEqual([rotated, repeated, reused], [1, 1, 0])
})

story('a session that was ended elsewhere signs out, and a bad password does not', async (use) => {
  const server = use(await serve())
  const client = createClient({ url: server.url })
  await client.register(ada)
  const told = []
  client.onChange((user) => told.push(user))
  await assert.rejects(client.login({ ...ada, password: 'wrong' }), { code: 'invalid_credentials' })
  assert.deepEqual(told, [])
  server.run('session', 'end', '--user', ada.email)
  await until('the end', async () => (await client.fetch('/profile')).status === 401)
  assert.deepEqual(told, [null])
})

story('a copied refresh token that was used ends the sign-in of both', async (use) => {
  const server = use(await serve())
  const store = shelf()
  const client = createClient({ url: server.url, store })
  await client.register(ada)
  const copy = store.get()
  for (let n = 0; n < 2; n += 1) await client.refresh()
  const thief = createClient({ url: server.url, store: shelf(copy) })
  await assert.rejects(thief.refresh(), { code: 'refresh_reused' })
  await assert.rejects(client.refresh(), { code: 'session_ended' })
  assert.equal(client.user, null)
  assert.equal(store.get(), null)
})

story('a body that is a stream is sent once', async (use) => {
  const server = use(await serve())
  const line = use(await wire(server.url))
  const client = createClient({ url: line.url })
  await client.register(ada)
  await promote(server, await tokenOf(client, line))
  const before = line.seen.length
  const body = new Blob(['{"name":"streamed"}']).stream()
  const headers = { 'content-type': 'application/json' }
  const answer = await client.fetch('/profile', { method: 'PATCH', body, headers, duplex: 'half' })
  assert.equal(answer.status, 401)
  assert.deepEqual(line.seen.slice(before).map(({ path }) => path), ['/profile', '/refresh'])
  assert.equal((await client.fetch('/profile')).status, 200)
})

/** Uses up the guesses at Ada's account from this network. */
async function storm(url) {
  const guess = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...ada, password: 'wrong' }) }
  await until('the limit', async () => (await fetch(`${url}/login`, guess)).status === 429)
}

story('who signed in before gets in while strangers use up the guesses', async (use) => {
  const server = use(await serve(['--set', 'throttle.account=2/1h'], {}, { isLimited: true }))
  const bob = { name: 'bob', email: 'bob@example.org', password: ada.password }
  const shared = shelf()
  const [kept, inMemory] = [{ url: server.url, device: shared }, { url: server.url }].map(createClient)
  await kept.register(ada)
  const alone = shared.get()
  await kept.logout()
  assert.equal(shared.get(), alone)
  // Another account in the same program: both are known from then on.
  await kept.register(bob)
  await kept.logout()
  await inMemory.login(ada)
  await inMemory.logout()
  await storm(server.url)
  await assert.rejects(createClient({ url: server.url }).login(ada), { code: 'too_many_attempts', tryAgain: true })
  for (const client of [kept, inMemory, createClient({ url: server.url, device: shared })]) {
    assert.equal((await client.login(ada)).name, 'ada')
    await client.logoutAll()
  }
  assert.deepEqual(shared.get().split('.').length, 2)
})

story('the device goes to Doorward alone, and only with a sign-in', async (use) => {
  const server = use(await serve())
  const [line, api] = [use(await wire(server.url)), use(await echo())]
  const [device, store] = [shelf(), shelf()]
  const client = createClient({ url: line.url, apis: [api.url], device, store })
  await client.register(ada)
  const secret = device.get()
  assert.match(secret, /^[\w-]{43}$/)
  await client.fetch(`${api.url}/things`)
  await client.profile()
  await client.refresh()
  await changePassword(client, ada.password, 'another door, another promise')
  await client.logout()
  await client.login({ ...ada, password: 'another door, another promise' })
  const withIt = line.seen.filter((request) => JSON.stringify(request).includes(secret))
  assert.deepEqual(withIt.map(({ path }) => path), ['/login'])
  assert.ok(![JSON.stringify(api.seen), store.get(), JSON.stringify(client.user)].join().includes(secret))
})

story('a place for the device that fails or holds something else keeps nobody out', async (use) => {
  const server = use(await serve())
  await createClient({ url: server.url }).register(ada)
  const broken = () => {
    throw new Error('no storage here')
  }
  const places = [undefined, 7, {}, '', 'x', 'x'.repeat(5_000_000)].map((kept) => ({ get: () => kept, set: broken }))
  for (const device of [...places, { get: broken, set: broken }, { get: async () => broken(), set: async () => broken() }]) {
    assert.equal((await createClient({ url: server.url, device }).login(ada)).name, 'ada')
  }
  // With cookies, the browser keeps it.
  for (const mode of ['cookie', 'session']) {
    assert.equal((await createClient({ url: server.url, mode, device: { get: assert.fail, set: assert.fail } }).login(ada)).name, 'ada')
  }
})
