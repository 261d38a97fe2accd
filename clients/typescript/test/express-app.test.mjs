// examples/express-app, with a real server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createClient } from 'doorward'
import { forRequest } from 'doorward/server'
import { ada, email, program, serve, until, using } from './support.mjs'

const APP = fileURLToPath(new URL('../../../examples/express-app/server.mjs', import.meta.url))

test('the Express application lets in who is signed in, and out who was signed out', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await serve())
    const { client_id, client_secret } = JSON.parse(server.run('client', 'create', '--name', 'express-app', '--json'))
    const env = { DOORWARD: server.url, CLIENT_ID: client_id, CLIENT_SECRET: client_secret, PORT: '0' }
    const app = use(await program(APP, env))
    const get = async (path, asking = globalThis) => {
      const answer = await asking.fetch(`${app.url}${path}`)
      return { status: answer.status, challenge: answer.headers.get('www-authenticate'), ...(await answer.json()) }
    }
    assert.equal(await (await fetch(app.url)).text(), 'Everybody may read this.\n')
    const { status, code, challenge } = await get('/dashboard')
    assert.deepEqual([status, code, challenge], [401, 'token_missing', 'Bearer'])

    const client = createClient({ url: server.url, apis: [app.url] })
    const user = await client.register(ada)
    const { message, identity } = await get('/dashboard', client)
    assert.deepEqual([message, identity.user, identity.mode], ['Welcome ada!', user.id, 'bearer'])
    assert.equal((await get('/admin', client)).code, 'forbidden')
    // The application learns of the new role, refuses the old token, and the client refreshes by itself.
    server.role('ada', 'admin')
    await until('the new role', async () => (await get('/admin', client)).message === 'The keys of the house')

    const cookies = new Map()
    const keep = (line) => cookies.set(...line.split(';')[0].split('='))
    const bob = forRequest({ url: server.url, mode: 'session' }, {}, keep)
    await bob.register({ ...ada, name: 'bob', email: email('bob') })
    const cookie = `sessionId=${cookies.get('sessionId')}`
    const visiting = (cookie) => forRequest({ url: server.url, apis: [app.url] }, { cookie }, () => {})
    const browser = visiting(cookie)
    assert.equal((await get('/dashboard', browser)).identity.mode, 'session')
    server.role('bob', 'admin')
    await until('the new role', async () => {
      const { code, message } = await get('/admin', browser)
      assert.notEqual(code, 'token_stale')
      return message === 'The keys of the house'
    })
    await bob.logout()
    await until('the logout', async () => (await get('/dashboard', browser)).code === 'session_ended')
    assert.equal((await get('/dashboard', visiting(`sessionId=${'A'.repeat(43)}`))).code, 'token_invalid')

    await client.logoutAll()
    assert.equal(client.user, null)
    const health = await get('/health')
    assert.ok(health.status === 200 && health.revocations >= 2 && health.keys === 1)
  }),
)
