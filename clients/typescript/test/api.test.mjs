// The client with other APIs: which refusals make it refresh, and when it stops.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { createClient } from 'doorward'
import { ada, foreignApi, serve, shelf, until, using } from './support.mjs'

const story = (name, body) => test(name, { timeout: 60_000 }, () => using(body))

const INVALID = { 'www-authenticate': 'Bearer error="invalid_token"' }

/** A server, a user who is signed in there, and an API that refuses with this answer. */
async function visiting(use, options) {
  const server = use(await serve())
  // So that Ada is not the last admin when she becomes a user again.
  server.run('user', 'create', '--email', 'root@example.org', '--name', 'root', '--role', 'admin')
  const api = use(await foreignApi(server.url, options))
  const store = shelf()
  const client = createClient({ url: server.url, apis: [api.url], store })
  await client.register(ada)
  const warn = mock.method(console, 'warn', () => {})
  use({ stop: () => warn.mock.restore() })
  const warned = () => warn.mock.calls.map(({ arguments: [text] }) => text)
  return { server, api, client, store, warned }
}

/** Makes this store's tokens stale: the next request is refused. */
async function changeRole(server, store, role) {
  const authorization = `Bearer ${JSON.parse(store.get()).token}`
  server.role('ada', role)
  const headers = { authorization }
  await until('the new role', async () => (await fetch(`${server.url}/profile`, { headers })).status === 401)
}

for (const challenge of [
  'Bearer error="invalid_token"',
  'bearer error=invalid_token',
  'Bearer realm="things, and more", error="invalid_token", error_description="The token, it expired"',
  'Basic realm="error", Bearer realm="x" , error = "invalid_token"',
  'Negotiate YII/abc+d==, Bearer error="invalid_token"',
]) {
  story(`a refusal is a reason to refresh: ${challenge}`, async (use) => {
    const { server, api, client, store, warned } = await visiting(use, { refusal: { 'www-authenticate': challenge } })
    for (const role of ['admin', 'user', 'admin']) {
      await changeRole(server, store, role)
      const answers = await Promise.all(Array.from({ length: 50 }, () => client.fetch(api.url)))
      assert.deepEqual(answers.map(({ status }) => status), Array(50).fill(200))
    }
    assert.deepEqual([(await server.refreshes()).rotated, warned()], [3, []])
  })
}

for (const refusal of [
  {},
  { 'www-authenticate': 'Bearer' },
  { 'www-authenticate': 'Bearer error="insufficient_scope"' },
  { 'www-authenticate': 'Bearer error_description="error=\\"invalid_token\\", error=\\"invalid_token\\""' },
  { 'www-authenticate': 'Basic realm="Bearer error=invalid_token"' },
  { 'www-authenticate': 'Bearer, DPoP error="invalid_token"' },
]) {
  story(`a refusal is handed on: ${refusal['www-authenticate']}`, async (use) => {
    const { server, api, client } = await visiting(use, { refusal, always: true })
    assert.equal((await client.fetch(api.url)).status, 401)
    assert.deepEqual([(await server.refreshes()).rotated, api.seen.length], [0, 1])
  })
}

story('a 403 in the words of RFC 6750 is handed on', async (use) => {
  const { server, api, client } = await visiting(use, { refusal: INVALID, always: true, status: 403 })
  assert.equal((await client.fetch(api.url)).status, 403)
  assert.equal((await server.refreshes()).rotated, 0)
})

story('an API that refuses every token gets one refresh, which is said once, and harms no other', async (use) => {
  const { server, api, client, store, warned } = await visiting(use, { refusal: INVALID, always: true })
  const other = use(await foreignApi(server.url, { refusal: INVALID }))
  const both = createClient({ url: server.url, apis: [api.url, other.url], store })
  for (const asking of [client, both]) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => asking.fetch(api.url)))
    assert.ok(answers.every(({ status }) => status === 401))
    for (let n = 0; n < 5; n += 1) assert.equal((await asking.fetch(`${api.url}/${n}`)).status, 401)
  }
  assert.equal((await server.refreshes()).rotated, 2)
  assert.equal(warned().length, 2)
  assert.match(warned()[0], new RegExp(`${api.url} still refuses`))
  await changeRole(server, store, 'admin')
  assert.equal((await both.fetch(api.url)).status, 401)
  assert.equal((await both.fetch(other.url)).status, 200)
  await changeRole(server, store, 'user')
  assert.equal((await both.fetch('/profile')).status, 200)
  assert.equal((await server.refreshes()).rotated, 4)

  // A new sign-in starts over.
  await both.login(ada)
  await both.fetch(api.url)
  await both.fetch(api.url)
  assert.equal((await server.refreshes()).rotated, 5)
  assert.equal(warned().length, 2)
})

story('a role that changes again and again is followed', async (use) => {
  const { server, client } = await visiting(use)
  for (let n = 0; n < 6; n += 1) {
    server.role('ada', n % 2 ? 'user' : 'admin')
    await Promise.all(Array.from({ length: 20 }, () => client.fetch('/profile')))
  }
  // Between two changes a new token may be refused for a moment; that is no reason to give up.
  const role = () => client.profile().then((user) => user.role, ({ code }) => assert.equal(code, 'token_stale'))
  await until('the role of now', async () => (await role()) === 'user')
})

story('a refusal of a credential of the caller’s own is theirs', async (use) => {
  const { server, api, client } = await visiting(use, { refusal: INVALID, always: true })
  const headers = { authorization: 'Bearer of-my-own' }
  assert.equal((await client.fetch(api.url, { headers })).status, 401)
  assert.equal((await client.fetch('/profile', { headers })).status, 401)
  assert.equal((await server.refreshes()).rotated, 0)
  assert.equal(api.seen[0].authorization, 'Bearer of-my-own')
})

story('a refusal of somebody who is signed out asks nobody for a refresh', async (use) => {
  const { server, api, client } = await visiting(use, { refusal: INVALID })
  await client.logout()
  for (let n = 0; n < 3; n += 1) assert.equal((await client.fetch(api.url)).status, 401)
  const { rotated, refused } = await server.refreshes()
  assert.deepEqual([rotated, refused, client.user], [0, 0, null])
})
