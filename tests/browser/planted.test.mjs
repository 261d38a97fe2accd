// Cookies that another host of the domain, beside or below this one, left in a browser. They have each of our names,
// with and without prefix, for each domain and path that may be set. None causes a redirect loop, mixes accounts, or
// prevents signing out and in.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createPlain } from 'node:http'
import { createServer } from 'node:https'
import { after, test } from 'node:test'
import { request } from 'playwright-core'
import { ACCOUNTS, BROWSER, TLS, calm, cert, inAgain, key, out, visited } from './domains.mjs'
import { PASSWORD, button, close, email, fill, heading, path, press, signIn, tell, unfold } from './support.mjs'

after(close)

const PLAIN = (...more) => (port) => [
  '--set', `public_url=http://${ACCOUNTS}:${port}`, '--set', 'http.plain=true', ...more.flatMap((setting) => ['--set', setting]),
]
// How many browsers run at once.
const AT_ONCE = 4

// Hosts that set the cookies that their address names, and link to the place that it names.
async function beside(secure, body) {
  const say = (asked, answer) => {
    const said = new URL(asked.url, 'https://a').searchParams
    answer.setHeader('set-cookie', said.getAll('set'))
    answer.setHeader('content-type', 'text/html')
    answer.end(`<!doctype html><link rel=icon href="data:,"><a href="${said.get('to') ?? '/'}">on</a>`)
  }
  const options = { maxHeaderSize: 65_536 }
  const host = secure
    ? createServer({ ...options, key: readFileSync(key), cert: readFileSync(cert) }, say)
    : createPlain(options, say)
  host.listen(0, '127.0.0.1')
  await once(host, 'listening')
  const { port } = host.address()
  const at = (name, asked) => `http${secure ? 's' : ''}://${name}:${port}/?${new URLSearchParams(asked)}`
  try {
    await body({
      plant: async (page, cookies) => {
        for (const [domain, from] of [['example.test', 'evil.example.test'], [ACCOUNTS, `evil.${ACCOUNTS}`]]) {
          const lines = cookies.filter((cookie) => cookie.domain === domain)
          const line = ({ name, value, path }) => `${name}=${value}; Path=${path}; Domain=${domain}${secure ? '; Secure' : ''}`
          if (lines.length) await page.goto(at(from, lines.map((cookie) => ['set', line(cookie)])))
        }
      },
      link: (page, to) => page.goto(at('elsewhere.test', [['to', to]])),
    })
  } finally {
    host.closeAllConnections()
    host.close()
  }
}

// The credentials of a user who signed in elsewhere, by the unprefixed names of the cookies.
async function credentials(server, name, { ended = false } = {}) {
  const held = {}
  for (const mode of ['session', 'cookie']) {
    const client = await request.newContext({ baseURL: server.address, ...BROWSER })
    const answer = await client.post('/login', { data: { email: email(name), password: PASSWORD, mode } })
    assert.equal(answer.status(), 200, await answer.text())
    const lines = answer.headersArray().filter((header) => header.name.toLowerCase() === 'set-cookie')
    for (const { value } of lines) {
      const [, cookie, secret] = /^(?:__(?:Host|Secure)-)?(\w+)=([^;]*)/.exec(value)
      if (secret) held[cookie] = secret
    }
    const cookie = lines.map(({ value }) => value.split(';')[0]).join('; ')
    if (ended) assert.equal((await client.post('/logout', { headers: { cookie } })).status(), 200)
    await client.dispose()
  }
  assert.deepEqual(Object.keys(held).sort(), ['device', 'refresh_token', 'sessionId', 'token'])
  return held
}

const BARE = ['token', 'sessionId', 'refresh_token', 'device']
const bare = (name) => name.replace(/^__(Host|Secure)-/, '')
// These names with a user's credentials, for each of these paths and domains.
const cookies = (held, names, paths, domains = ['example.test']) =>
  domains.flatMap((domain) => paths.flatMap((path) => names.map((name) => ({ name, value: held[bare(name)], path, domain }))))

// One browser, in which Ada signs in before the cookies come, after that, or not at all.
async function meet({ server, visit, plant, link, planted, own, worst, label }) {
  const page = await visit(BROWSER)
  if (own === 'before') await inAgain(page, server.url, 'Ada', label)
  await plant(page, planted)
  if (own === 'after') {
    await page.goto(`${server.url}/login`)
    if (path(page) === '/login') await signIn(page, 'Ada')
  }
  // Beside her own sign-in only she is ever shown.
  const allowed = own === 'alone' ? worst : ['Ada']
  await calm(page, server.url, allowed, label)
  if (own !== 'alone') await follows(page, { server, link, label })
  await out(page, server.url, label)
  await inAgain(page, server.url, 'Ada', label)
  await page.context().close()
}

// By a link of another site. If a browser says that it comes from there, no other user is shown. If it doesn't, the
// page of a planted cookie does nothing to her.
async function follows(page, { server, link, label }) {
  await link(page, `${server.url}/dashboard`)
  const { shown } = await visited(page, () => press(page, page.getByRole('link')))
  if (server.url.startsWith('https:')) assert.deepEqual(shown.filter((name) => name !== 'Ada'), [], label)
  if (shown.length && !shown.includes('Ada')) await isRefused(page, label)
}

// The form of this page would act on another account than the page shows.
async function isRefused(page, label) {
  const name = await unfold(page, 'Name')
  await fill(name, { Name: 'Eve' })
  await press(page, button(page, 'Change name'))
  assert.match(await page.content(), /other_account/, label)
}

function story(name, { flags, secure = true, worst = [] }, sets) {
  test(name, { timeout: 120_000 }, () =>
    beside(secure, (host) =>
      tell(flags, async ({ server, visit }) => {
        for (const person of ['Ada', ...(worst.length ? worst : ['Mallory'])]) server.user(person)
        const todo = sets.flatMap(([set, owns, make]) => owns.map((own) => ({ own, make, label: `${set}, ${own}` })))
        const work = async () => {
          for (let one = todo.shift(); one; one = todo.shift()) {
            const planted = await one.make(server)
            await meet({ server, visit, ...host, planted, own: one.own, worst, label: one.label })
          }
        }
        const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, work))
        for (const { reason } of ended) if (reason) throw reason
      }),
    ),
  )
}

const mallory = (names, paths, domains) => async (server) => cookies(await credentials(server, 'Mallory'), names, paths, domains)
const ended = (names, paths) => async (server) => cookies(await credentials(server, 'Mallory', { ended: true }), names, paths)

// Nobody can plant a name that is bound to the host, and no other name is trusted.
const EVERY_NAME = BARE.flatMap((name) => [`__Host-${name}`, `__Secure-${name}`, name])
story('no planted cookie signs anybody in where names are bound to the host', { flags: TLS(ACCOUNTS) }, [
  ['every name', ['alone', 'before'], mallory(EVERY_NAME, ['/', '/dashboard'], ['example.test', ACCOUNTS])],
])

// A cookie shared by a domain may at worst sign a browser in as the planter.
const SHARED = ['__Secure-sessionId']
const SHARING = TLS(ACCOUNTS, 'cookie.domain=example.test', 'mode_form=session')
story('a planted session that a domain shares', { flags: SHARING, worst: ['Mallory', 'Trudy'] }, [
  ['for one page', ['before', 'after'], mallory(SHARED, ['/dashboard'])],
  ['for the login, of a domain below', ['after'], mallory(SHARED, ['/login'], [ACCOUNTS])],
  ['of two people', ['alone', 'before'], async (server) => [
    ...cookies(await credentials(server, 'Mallory'), SHARED, ['/']),
    ...cookies(await credentials(server, 'Trudy'), SHARED, ['/dashboard']),
  ]],
])

const OVER_HTTP = { secure: false, worst: ['Mallory'] }
story('planted cookies over plain http in session mode', { flags: PLAIN('mode_form=session'), ...OVER_HTTP }, [
  ['for one page', ['before'], mallory(['sessionId'], ['/dashboard'])],
  ['for the login', ['after'], mallory(['sessionId'], ['/login'])],
  ['that have ended', ['before'], ended(BARE, ['/', '/dashboard'])],
])
story('planted cookies over plain http in cookie mode', { flags: PLAIN('mode_form=cookie'), ...OVER_HTTP }, [
  ['everywhere', ['alone', 'before'], mallory(BARE, ['/'])],
  ['for one page', ['after'], mallory(['token'], ['/dashboard'])],
  ['for the refresh', ['before'], mallory(['refresh_token'], ['/refresh'])],
])

test('a page that a planted cookie showed does nothing to who signs in meanwhile', { timeout: 60_000 }, () =>
  beside(true, ({ plant }) =>
    tell(SHARING, async ({ server, visit }) => {
      for (const person of ['Ada', 'Mallory']) server.user(person)
      const page = await visit(BROWSER)
      await plant(page, await mallory(SHARED, ['/dashboard'])(server))
      await page.goto(`${server.url}/dashboard`)
      assert.equal(await heading(page), 'Welcome Mallory!')
      const tab = await page.context().newPage()
      await tab.goto(`${server.url}/login`)
      await signIn(tab, 'Ada')
      await isRefused(page, 'the open page')
      await out(page, server.url, 'afterwards')
      await inAgain(page, server.url, 'Ada', 'afterwards')
    }),
  ),
)
