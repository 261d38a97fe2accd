// Where page, Doorward and API stand: the four set-ups of the guide, over TLS, with a host name for each. Every cell of
// the guide's table is a story here.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request as askPlainly } from 'node:http'
import { createServer, request as ask } from 'node:https'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { BROWSER, TLS, cert, key } from '../../../tests/browser/domains.mjs'
import { PASSWORD, close, email, fill, freePort, tell } from '../../../tests/browser/support.mjs'
import { until } from './support.mjs'

after(close)

/** How long an access token lives, in seconds. */
const TTL = 3

const PAGE = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>A page</title><script type="module">
import { createClient } from '/client/index.js'
const { url, mode, apis } = JSON.parse(document.body.dataset.options)
window.client = createClient({ url, mode, apis })
window.things = async () => {
  const answer = await client.fetch(apis[0] ?? '/api')
  return [answer.status, await answer.text()]
}
client.profile().catch(() => {}).finally(() => (window.isReady = true))
</script><body data-options='OPTIONS'><h1>A page</h1>`

/** The answer of a server on this machine, whatever its name. */
function asked(url, headers = {}) {
  const { hostname, port, pathname, search } = new URL(url)
  const options = { host: '127.0.0.1', port, path: pathname + search, rejectUnauthorized: false }
  return answerTo(ask({ ...options, headers: { host: `${hostname}:${port}`, ...headers } }))
}

/** Doorward behind the page's own server. */
const passed = (address, { method, url }, headers, body) => answerTo(askPlainly(new URL(url, address), { method, headers }), body)

async function answerTo(sending, body) {
  sending.end(body)
  const [answer] = await once(sending, 'response')
  return { status: answer.statusCode, headers: answer.headers, body: await buffer(answer) }
}

/**
 * A web server for page and API. The API lets Doorward check what it gets; `/plain` checks tokens by a library that knows
 * the public keys, and nothing else. What stands below `/auth` is Doorward's, in the set-up with one origin.
 */
async function web(port, { doorward, options, origins, behind }) {
  const seen = []
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (request, answer) => {
    const { pathname } = new URL(request.url, 'https://x')
    const { authorization, cookie, origin } = request.headers
    if (behind && pathname.startsWith('/auth')) {
      const headers = { ...request.headers, 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' }
      const { status, headers: more, body } = await behind(request, headers, await buffer(request))
      return answer.writeHead(status, more).end(body)
    }
    if (origins.includes(origin)) {
      answer.setHeader('access-control-allow-origin', origin)
      answer.setHeader('access-control-allow-headers', 'authorization')
      answer.setHeader('access-control-expose-headers', 'www-authenticate')
      if (options.mode === 'session') answer.setHeader('access-control-allow-credentials', 'true')
    }
    if (request.method === 'OPTIONS') return answer.writeHead(204).end()
    const [, script] = /^\/client\/(\w+\.js)$/.exec(pathname) ?? []
    if (script) {
      answer.setHeader('content-type', 'text/javascript')
      return answer.end(readFileSync(new URL(`../dist/${script}`, import.meta.url)))
    }
    if (pathname !== '/api' && pathname !== '/plain') {
      answer.setHeader('content-type', 'text/html')
      return answer.end(PAGE.replace('OPTIONS', JSON.stringify(options)))
    }
    seen.push({ authorization, cookie })
    const checked = pathname === '/api' ? await byDoorward(doorward, request.headers) : await byLibrary(doorward, authorization)
    if (checked) return answer.end(checked)
    answer.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('no')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { seen, stop: () => (server.closeAllConnections(), server.close()) }
}

async function byDoorward(doorward, { authorization, cookie }) {
  const { status, body } = await asked(`${doorward}/profile`, authorization ? { authorization } : { cookie: cookie ?? '' })
  return status === 200 && JSON.parse(body).user.role
}

async function byLibrary(doorward, authorization) {
  const keys = JSON.parse((await asked(`${doorward}/.well-known/jwks.json`)).body)
  const token = authorization?.replace('Bearer ', '') ?? ''
  return jwtVerify(token, createLocalJWKSet(keys), { issuer: new URL(doorward).origin }).then(() => 'plain', () => undefined)
}

const TTLS = ['--access-ttl', `${TTL}s`]

/** A set-up with Doorward on a host of its own, page and API below `domain`, and these settings. */
const apart = (domain, mode, settings) => (port, web) => ({
  flags: TLS('accounts.example.test', ...settings(`https://app.${domain}:${web}`))(port),
  doorward: `https://accounts.example.test:${port}`,
  page: `https://app.${domain}:${web}/`,
  options: { url: `https://accounts.example.test:${port}`, mode, apis: [`https://api.${domain}:${web}/api`] },
})

/** Each set-up: Doorward's flags, and where page and API stand, by the ports. */
const SET_UPS = {
  a: (port, web) => ({
    flags: ['--set', `public_url=https://app.example.test:${web}`, '--base-path', '/auth', '--set', 'trusted_proxies=127.0.0.1/32', '--set', 'mode_form=cookie'],
    doorward: `https://app.example.test:${web}/auth`,
    page: `https://app.example.test:${web}/`,
    options: { url: '/auth', mode: 'cookie', apis: [] },
  }),
  b: apart('example.test', 'session', (page) => ['cookie.domain=example.test', `apps=${page}`]),
  c: apart('example.test', 'session', (page) => [`apps=${page}`]),
  d: apart('other.test', 'bearer', (page) => [`origins=${page}`]),
}

/** A story in a set-up, with Ada signed in on its page. */
function story(name, letter, body) {
  test(`${letter}: ${name}`, { timeout: 120_000 }, async () => {
    const at = await freePort()
    let place
    const flags = (port) => [...(place = SET_UPS[letter](port, at)).flags, ...TTLS]
    await tell(flags, async ({ server, visit }) => {
      server.user('Ada')
      const behind = letter === 'a' && ((request, headers, body) => passed(server.address, request, headers, body))
      const origins = [new URL(place.page).origin]
      const site = await web(at, { ...place, origins, behind })
      try {
        const page = await opened(await visit(BROWSER), place.page)
        await enter(page, place)
        await body({ page, place, server, site, other: async () => opened(await page.context().newPage(), place.page) })
      } finally {
        site.stop()
      }
    }, { isStrict: false })
  })
}

async function opened(page, url) {
  await page.goto(url)
  await page.waitForFunction(() => window.isReady)
  return page
}

async function reloaded(page) {
  await page.reload()
  await page.waitForFunction(() => window.isReady)
}

/** Signs Ada in as people do there: by the hosted login, or by the page's own form. */
async function enter(page, { page: home, options }) {
  if (options.mode === 'bearer') {
    await page.evaluate((ada) => client.login(ada), { email: email('Ada'), password: PASSWORD })
  } else {
    await page.evaluate(() => void client.signIn())
    await page.waitForURL('**/login?return_to=*')
    assert.ok((await page.locator('body').innerText()).includes('app.example.test') || options.url === '/auth')
    await fill(page, { Email: email('Ada'), Password: PASSWORD })
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(home)
    await page.waitForFunction(() => window.isReady)
  }
}

const things = (page) => page.evaluate(() => things())
const user = (page) => page.evaluate(() => client.user?.name ?? client.user)

/** How often a page asks for another credential meanwhile. */
async function refreshes(page, act) {
  let count = 0
  const look = (request) => (count += request.method() === 'POST' && request.url().endsWith('/refresh'))
  page.on('request', look)
  await act()
  page.off('request', look)
  return count
}

const IN = [200, 'user']
const EXPECTED = {
  a: { reload: 0, expiry: 1, other: 'Ada' },
  b: { reload: 0, expiry: 0, other: 'Ada' },
  c: { reload: 1, expiry: 1, other: 'Ada' },
  d: { reload: 0, expiry: 1, other: null },
}

for (const letter of Object.keys(SET_UPS)) {
  const expected = EXPECTED[letter]

  story('sign-in, and a reload', letter, async ({ page, site }) => {
    assert.deepEqual([await user(page), await things(page)], ['Ada', IN])
    // No host but Doorward's sees the cookie of a set-up that keeps it there, and no page a secret.
    if (letter === 'c') assert.ok(site.seen.every(({ cookie, authorization }) => !cookie && authorization))
    const asked = await refreshes(page, async () => {
      await reloaded(page)
      assert.deepEqual([await user(page), await things(page)], letter === 'd' ? [null, [401, 'no']] : ['Ada', IN])
    })
    assert.equal(asked, expected.reload)
  })

  story('expiry', letter, async ({ page }) => {
    assert.deepEqual(await things(page), IN)
    const end = Date.now() + TTL * 1_000 + 500
    await until('the end of the token', () => Date.now() > end)
    const asked = await refreshes(page, async () => {
      const all = await page.evaluate(() => Promise.all(Array.from({ length: 20 }, () => things())))
      assert.deepEqual(all, Array(20).fill(IN))
    })
    assert.equal(asked, expected.expiry)
  })

  story('two tabs, and a sign-out in one of them', letter, async ({ page, other }) => {
    assert.deepEqual(await things(page), IN)
    const second = await other()
    assert.equal(await user(second), expected.other)
    if (letter === 'd') return
    assert.deepEqual(await things(second), IN)
    await second.evaluate(() => client.signOut())
    await until('the first tab to hear of it', async () => (await user(page)) === null)
    assert.deepEqual((await things(page))[0], 401)
    await reloaded(page)
    assert.equal(await user(page), null)
  })

  story('another role', letter, async ({ page, server }) => {
    assert.deepEqual(await things(page), IN)
    server.run(['user', 'role', email('Ada'), 'admin'])
    await until('the new role', async () => (await things(page))[1] === 'admin')
    assert.equal(await user(page), 'Ada')
  })

  story('signed out elsewhere', letter, async ({ page, server, site, place }) => {
    assert.deepEqual(await things(page), IN)
    const held = site.seen.at(-1)
    server.run(['session', 'end', '--user', email('Ada')])
    await until('the end', async () => (await things(page))[0] === 401)
    assert.equal(await user(page), null)
    if (letter !== 'c') return
    // A program that knows the keys alone learns of it when the token expires.
    const plain = place.options.apis[0].replace('/api', '/plain')
    const status = async () => (await asked(plain, { authorization: held.authorization })).status
    await until('the end of the token', async () => (await status()) === 401)
  })
}
