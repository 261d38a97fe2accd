// The client in a page, with APIs of other origins that don't use our form. A changed role recovers, whether the page
// may read the challenge or not, and an API that refuses everything causes no refreshes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../../tests/browser/chromium.mjs'
import { ada, foreignApi, freePort, serve, until, using } from './support.mjs'

let browser
before(async () => {
  browser = await openBrowser()
})
after(() => browser?.close())

const story = (name, body) => test(name, { timeout: 120_000 }, () => using(body))

const INVALID = { 'www-authenticate': 'Bearer error="invalid_token"' }
const READABLE = { ...INVALID, 'access-control-expose-headers': 'WWW-Authenticate' }

/** A page of its own origin, with the client's files. */
async function site(port) {
  const server = createServer((request, answer) => {
    const [, name] = /^\/client\/(\w+\.js)$/.exec(request.url) ?? []
    if (!name) return answer.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>')
    answer.setHeader('content-type', 'text/javascript').end(readFileSync(new URL(`../dist/${name}`, import.meta.url)))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { stop: () => (server.closeAllConnections(), server.close()) }
}

/** Doorward, a page and an API: three origins of one site. */
async function visiting(use, mode, refusal, always = false) {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  use(await site(port))
  const server = use(await serve(['--set', `origins=${origin}`]))
  server.run('user', 'create', '--email', 'root@example.org', '--name', 'root', '--role', 'admin')
  const api = use(await foreignApi(server.url, { refusal, always, origins: [origin] }))
  const context = await browser.newContext()
  use({ stop: () => context.close() })
  const page = await context.newPage()
  const said = []
  page.on('console', (message) => message.type() === 'warning' && said.push(message.text()))
  await page.goto(origin)
  const there = (url) => url.replace('127.0.0.1', 'localhost')
  const urls = { url: there(server.url), api: there(api.url), mode, ada }
  await page.evaluate(async ({ url, api, mode, ada }) => {
    const { createClient } = await import('/client/index.js')
    window.api = api
    window.client = createClient({ url, apis: [api], mode })
    window.told = []
    client.onChange((user) => told.push(user?.name ?? null))
    await client.register(ada)
  }, urls)
  const statuses = (count) =>
    page.evaluate(async (count) => {
      const answers = await Promise.all(Array.from({ length: count }, () => client.fetch(api)))
      return answers.map((answer) => answer.status)
    }, count)
  return { server, api, page, said, statuses, there }
}

async function changeRole(server, api, role) {
  const { authorization, cookie } = api.seen.at(-1)
  const headers = authorization ? { authorization } : { cookie }
  server.role('ada', role)
  await until('the new role', async () => (await fetch(`${server.url}/profile`, { headers })).status === 401)
}

for (const mode of ['bearer', 'cookie']) {
  for (const [name, refusal] of Object.entries({ readable: READABLE, hidden: INVALID })) {
    story(`a changed role recovers at an API of another origin, again and again: ${mode}, ${name}`, async (use) => {
      const { server, api, page, said, statuses } = await visiting(use, mode, refusal)
      assert.deepEqual(await statuses(1), [200])
      for (const role of ['admin', 'user', 'admin']) {
        await changeRole(server, api, role)
        assert.deepEqual(await statuses(50), Array(50).fill(200))
      }
      const { rotated, reused, refused } = await server.refreshes()
      assert.deepEqual([rotated, reused, refused], [3, 0, 0])
      assert.deepEqual([await page.evaluate(() => told), said], [['ada'], []])
    })

    story(`an API of another origin that refuses everything gets one refresh: ${mode}, ${name}`, async (use) => {
      const { server, page, said, statuses } = await visiting(use, mode, refusal, true)
      for (let n = 0; n < 3; n += 1) assert.deepEqual(await statuses(20), Array(20).fill(401))
      assert.equal((await server.refreshes()).rotated, 1)
      assert.equal(said.length, 1)
      assert.match(said[0], /still refuses the token/)
      assert.deepEqual(await page.evaluate(() => told), ['ada'])
    })
  }
}

story('an API without a challenge that the page may read is asked again once, and then left alone', async (use) => {
  const { server, said, statuses } = await visiting(use, 'bearer', {}, true)
  for (let n = 0; n < 3; n += 1) assert.deepEqual(await statuses(20), Array(20).fill(401))
  assert.deepEqual([(await server.refreshes()).rotated, said.length], [1, 1])
})

story('a listed page of another origin reads the challenge of Doorward itself', async (use) => {
  const { server, page, there } = await visiting(use, 'bearer', INVALID)
  const challenge = await page.evaluate(async (url) => {
    const answer = await fetch(`${url}/profile`, { headers: { authorization: 'Bearer broken' } })
    return answer.headers.get('www-authenticate')
  }, there(server.url))
  assert.equal(challenge, 'Bearer error="invalid_token"')
})
