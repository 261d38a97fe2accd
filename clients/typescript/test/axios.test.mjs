// axios through the client.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import axios from 'axios'
import { createClient } from 'doorward'
import { through } from 'doorward/axios'
import { ada, serve, until, using, wire } from './support.mjs'

test('axios gets the credential, its renewal, and its own errors', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await serve())
    const line = use(await wire(server.url))
    const client = createClient({ url: line.url })
    const api = axios.create({ baseURL: line.url, ...through(client) })
    const refused = await api.get('/profile').catch(({ response }) => response)
    assert.deepEqual([refused.status, refused.data.code], [401, 'token_missing'])

    await client.register(ada)
    assert.equal((await api.get('/profile')).data.user.name, 'ada')
    server.role('ada', 'admin')
    const headers = { authorization: line.seen.at(-1).headers.authorization }
    await until('the new role', async () => (await fetch(`${server.url}/profile`, { headers })).status === 401)
    const renamed = await Promise.all(Array.from({ length: 10 }, (_, n) => api.patch('/profile', { name: `ada ${n}` })))
    assert.deepEqual(renamed.map(({ status }) => status), Array(10).fill(200))
    assert.equal((await server.refreshes()).rotated, 1)
  }),
)
