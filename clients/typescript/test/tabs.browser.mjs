// The client in a real browser, with three tabs.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../../tests/browser/chromium.mjs'
import { PASSWORD, ada, held, serve, until, using, wire } from './support.mjs'

let browser
before(async () => {
  browser = await openBrowser()
})
after(() => browser?.close())

const story = (name, body) => test(name, { timeout: 120_000 }, () => using(body))

const PAGE = '<!doctype html><html lang="en"><title>A tab</title><link rel="icon" href="data:,">'

/** A server, the proxy to it, and tabs of one browser that all have such a client. */
async function visiting(use, kind, flags = []) {
  const server = use(await serve(flags))
  const line = use(await wire(server.url))
  const { port } = new URL(line.url)
  const origin = `http://localhost:${port}`
  const context = await browser.newContext()
  use({ stop: () => context.close() })
  await context.route(`${origin}/tab`, (route) => route.fulfill({ body: PAGE, contentType: 'text/html' }))
  await context.route(`${origin}/client/*`, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').at(-1)
    const body = readFileSync(new URL(`../dist/${name}`, import.meta.url))
    return route.fulfill({ body, contentType: 'text/javascript' })
  })
  const load = async (page) => {
    await page.goto(`${origin}/tab`)
    await page.evaluate(async (kind) => {
      const { createClient } = await import('/client/index.js')
      const shelf = { get: () => localStorage.tokens, set: (one) => void (localStorage.tokens = one ?? '') }
      window.client = createClient(kind === 'store' ? { store: shelf } : { mode: kind })
      window.told = []
      window.client.onChange((user) => window.told.push(user?.name ?? null))
    }, kind)
    return page
  }
  const tab = async () => load(await context.newPage())
  return { server, line, tab, load }
}

const statuses = (page, count) =>
  page.evaluate(async (count) => {
    const answers = await Promise.all(Array.from({ length: count }, () => client.fetch('/profile')))
    return answers.map((answer) => answer.status)
  }, count)

for (const kind of ['cookie', 'store']) {
  story(`50 requests of three tabs at the moment of expiry are one rotation and 50 successes: ${kind}`, async (use) => {
    const { server, line, tab, load } = await visiting(use, kind, ['--access-ttl', '8s'])
    const tabs = [await tab(), await tab(), await tab()]
    await tabs[0].evaluate((ada) => client.register(ada), ada)
    await load(tabs[0])
    for (const page of tabs) assert.equal(await page.evaluate(async () => (await client.profile()).name), 'ada')
    const { authorization, cookie } = line.seen.at(-1).headers
    const headers = cookie ? { cookie } : { authorization }
    await until('the end of the token', async () => (await fetch(`${server.url}/profile`, { headers })).status === 401)
    // With cookies each request of every tab is refused before any tab hears of a refresh; a store says when they
    // expire.
    if (kind === 'cookie') line.answer = held('/refresh', 50)
    const counts = [17, 17, 16]
    const answers = await Promise.all(tabs.map((page, n) => statuses(page, counts[n])))
    assert.deepEqual(answers.flat(), Array(50).fill(200))
    const { rotated, reused, refused } = await server.refreshes()
    assert.deepEqual({ rotated, reused, refused }, { rotated: 1, reused: 0, refused: 0 })
    for (const page of tabs) assert.deepEqual(await page.evaluate(() => told.slice(-1)), ['ada'])
  })

  story(`reloads, lost answers and a restart of the server sign nobody out: ${kind}`, async (use) => {
    const { server, line, tab, load } = await visiting(use, kind)
    const tabs = [await tab(), await tab(), await tab()]
    await tabs[0].evaluate((ada) => client.register(ada), ada)
    const renew = (page) => page.evaluate(() => client.refresh())

    // A reload while the answer is on its way.
    let asked
    const isAsked = new Promise((resolve) => (asked = resolve))
    let lost = true
    line.answer = async (path) => {
      if (path !== '/refresh' || !lost) return true
      asked()
      return (lost = false)
    }
    const cut = renew(tabs[0]).catch(() => {})
    await isAsked
    await load(tabs[0])
    await cut

    // Answers that never come, while all tabs send requests.
    let losses = 3
    line.answer = async (path) => path !== '/refresh' || losses-- <= 0
    await Promise.all(tabs.map(renew))

    // A server that is away for a moment.
    await server.end('SIGKILL')
    const renewals = tabs.map(renew)
    await server.restart()
    await Promise.all(renewals)
    for (const page of tabs) {
      assert.equal(await page.evaluate(async () => (await client.profile()).name), 'ada')
      assert.ok(!(await page.evaluate(() => told)).includes(null))
    }
    const { reused, refused } = await server.refreshes()
    assert.deepEqual([reused, refused], [0, 0])
  })

}

for (const kind of ['cookie', 'session', 'store']) {
  story(`tabs learn of sign-in and logout: ${kind}`, async (use) => {
    const { tab } = await visiting(use, kind)
    const [one, two] = [await tab(), await tab()]
    await one.evaluate((ada) => client.register(ada), ada)
    await until('the sign-in', () => two.evaluate(() => client.user?.name === 'ada'))
    assert.deepEqual(await statuses(two, 1), [200])
    await two.evaluate(() => client.logout())
    await until('the logout', () => one.evaluate(() => client.user === null))
    assert.deepEqual(await statuses(one, 1), [401])
    assert.deepEqual(await one.evaluate(() => told), ['ada', null])
  })
}

story('in memory each tab is a sign-in of its own, a logout means all, and no storage holds a token', async (use) => {
  const { server, tab, load } = await visiting(use, 'bearer')
  const [one, two] = [await tab(), await tab()]
  await one.evaluate((ada) => client.register(ada), ada)
  assert.equal(await two.evaluate(() => client.user), undefined)
  await two.evaluate((ada) => client.login(ada), { email: ada.email, password: PASSWORD })
  const stored = () => JSON.stringify([localStorage, sessionStorage, document.cookie, Object.keys(client)])
  assert.equal(await one.evaluate(stored), '[{},{},"",["mode","onChange","fetch"]]')
  await one.evaluate(() => client.logout())
  await until('the logout', () => two.evaluate(() => client.user === null))
  await until('the end of both', () => JSON.parse(server.run('session', 'list', ada.email, '--json')).length === 0)
  await load(one)
  await assert.rejects(one.evaluate(() => client.profile()), /No token provided/)
})

for (const kind of ['cookie', 'session', 'store']) {
  story(`x25_a_password_change_beside_50_requests_and_refreshes_in_two_tabs_signs_nobody_out: ${kind}`, async (use) => {
    const { server, line, tab, load } = await visiting(use, kind)
    const tabs = [await tab(), await tab()]
    await tabs[0].evaluate((ada) => client.register(ada), ada)
    await load(tabs[0])
    for (const page of tabs) assert.equal(await page.evaluate(async () => (await client.profile()).name), 'ada')
    const { authorization, cookie } = line.seen.at(-1).headers
    const copied = cookie ? { cookie } : { authorization }
    const stored = await tabs[0].evaluate(() => localStorage.tokens && JSON.parse(localStorage.tokens))
    const next = 'another door is a promise'

    // The change has happened, and its answer is held until all requests that were sent with the old credential are answered.
    let release
    const all = new Promise((resolve) => (release = resolve))
    let answers = 0
    line.answer = async (path) => {
      if (path === '/profile/password') await all
      else if ((answers += 1) >= 50) release()
      return true
    }
    const change = tabs[0].evaluate(([old, next]) => client.ask('profile/password', 'POST', { current_password: old, new_password: next }), [PASSWORD, next])
    await until('the change', () => line.seen.some(({ path }) => path === '/profile/password'))
    const renewing = kind === 'session' ? [] : tabs.map((page) => page.evaluate(() => client.refresh()))
    const codes = await Promise.all(tabs.map((page) => statuses(page, 25)))
    await Promise.all([change, ...renewing])
    assert.deepEqual(codes.flat(), Array(50).fill(200))

    // Both are signed in, and stay so; the old password and copied credentials no longer work.
    for (const page of tabs) {
      assert.deepEqual(await statuses(page, 1), [200])
      await page.evaluate(() => client.refresh())
      assert.equal(await page.evaluate(async () => (await client.profile()).name), 'ada')
      assert.ok(!(await page.evaluate(() => told)).includes(null))
    }
    const { reused, refused } = await server.refreshes()
    assert.equal(reused, 0)
    assert.ok(kind !== 'session' || refused === 0)
    const refresh = async (body, headers) => {
      const json = { 'content-type': 'application/json', ...headers }
      return (await fetch(`${server.url}/refresh`, { method: 'POST', headers: json, body: JSON.stringify(body) })).status
    }
    if (kind === 'session') assert.equal((await fetch(`${server.url}/profile`, { headers: copied })).status, 401)
    if (kind === 'cookie') assert.equal(await refresh({}, copied), 401)
    if (kind === 'store') assert.equal(await refresh({ refresh_token: stored.refresh_token }), 401)
    assert.deepEqual(await statuses(tabs[1], 1), [200])
  })
}

for (const kind of ['cookie', 'store']) {
  story(`x25_a_changed_role_beside_50_requests_in_two_tabs_signs_nobody_out: ${kind}`, async (use) => {
    const { server, line, tab, load } = await visiting(use, kind)
    server.run('user', 'create', '--email', 'root@example.org', '--name', 'root', '--role', 'admin')
    const tabs = [await tab(), await tab()]
    await tabs[0].evaluate((ada) => client.register(ada), ada)
    await load(tabs[0])
    for (const page of tabs) await page.evaluate(() => client.profile())
    const { authorization, cookie } = line.seen.at(-1).headers
    const headers = cookie ? { cookie } : { authorization }
    server.role('ada', 'admin')
    await until('the new role', async () => (await fetch(`${server.url}/profile`, { headers })).status === 401)
    const answers = await Promise.all(tabs.map((page) => statuses(page, 25)))
    assert.deepEqual(answers.flat(), Array(50).fill(200))
    for (const page of tabs) {
      assert.equal(await page.evaluate(async () => (await client.profile()).role), 'admin')
      assert.ok(!(await page.evaluate(() => told)).includes(null))
    }
    const { reused, refused } = await server.refreshes()
    assert.deepEqual([reused, refused], [0, 0])
  })
}

story('the device of bearer mode is in the memory of its page and nowhere else', async (use) => {
  const { line, tab } = await visiting(use, 'bearer')
  const [page, other] = [await tab(), await tab()]
  await other.evaluate(() => {
    window.heard = []
    window.channel = new BroadcastChannel(`doorward ${location.origin}/`)
    window.channel.onmessage = ({ data }) => heard.push(data)
  })
  await page.evaluate(async (ada) => {
    await client.register(ada)
    await client.logout()
    await client.login(ada)
  }, ada)
  const { device } = JSON.parse(line.seen.findLast(({ path }) => path === '/login').body)
  assert.match(device, /^[\w-]{43}$/)
  await until('what other tabs hear', () => other.evaluate(() => heard.length >= 3))
  const places = await page.evaluate(async () => [
    { ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state, window.name,
    await indexedDB.databases(), await caches.keys(), client.user,
  ])
  assert.ok(!JSON.stringify([places, await other.evaluate(() => heard)]).includes(device))
})
