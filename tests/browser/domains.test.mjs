// Cookies that another deployment, or another cookie.domain, left in a browser. None sends it in a circle, shows another's
// account, or keeps anybody from signing out and in again.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { button, close, email, heading, path, press, signIn, tell } from './support.mjs'

after(close)

const folder = mkdtempSync(join(tmpdir(), 'doorward-tls-'))
after(() => rmSync(folder, { recursive: true }))
const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
const kept = ['-keyout', key, '-out', cert, '-subj', '/CN=example.test']
execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...kept], { stdio: 'ignore' })

const TLS = (host, ...more) => (port) => [
  '--tls-cert', cert, '--tls-key', key, '--set', `public_url=https://${host}:${port}`,
  ...more.flatMap((setting) => ['--set', setting]),
]
const ACCOUNTS = 'accounts.example.test'
const BROWSER = { ignoreHTTPSErrors: true }
const PEOPLE = ['Ada', 'Mallory']

// Goes there as `go` does, and says where it ended and of whom the page speaks.
async function visited(page, go) {
  let hops = 0
  const count = (asked) => (hops += asked.isNavigationRequest() && asked.frame() === page.mainFrame())
  page.on('request', count)
  await go()
  await page.waitForFunction(() => document.readyState === 'complete' && document.querySelector('h1')?.innerText !== 'One moment')
  page.off('request', count)
  assert.ok(hops <= 5, `${hops} pages on the way to ${page.url()}`)
  const text = await page.content()
  return { at: path(page), shown: PEOPLE.filter((name) => text.includes(email(name))), isAmbiguous: text.includes('ambiguous_cookies') }
}

const PAGES = ['/dashboard', '/login', '/profile']

// Every page comes to an end and speaks of nobody but these.
async function calm(page, url, allowed, label) {
  for (const wanted of PAGES) {
    const { at, shown } = await visited(page, () => page.goto(url + wanted))
    assert.ok(PAGES.includes(at), `${label}: ${wanted} ended at ${at}`)
    assert.deepEqual(shown.filter((name) => !allowed.includes(name)), [], `${label}: ${wanted}`)
  }
}

// Out by the ways that the pages offer, until nobody is signed in.
async function out(page, url, label) {
  for (let tries = 0; tries < 3; tries++) {
    const { at, isAmbiguous } = await visited(page, () => page.goto(`${url}/dashboard`))
    if (at === '/login') return
    const way = isAmbiguous ? button(page, 'Sign out of both') : page.getByRole('navigation').getByRole('button', { name: 'Sign out' })
    await press(page, way)
  }
  assert.fail(`${label}: no way out`)
}

// In again by the form, and where two sign-ins meet, by way of the page that says so.
async function inAgain(page, url, name, label) {
  for (let tries = 0; tries < 2; tries++) {
    await page.goto(`${url}/login`)
    if (path(page) === '/login') await signIn(page, name)
    const { isAmbiguous, shown } = await visited(page, () => page.goto(`${url}/dashboard`))
    if (!isAmbiguous) {
      assert.deepEqual(shown, [name], `${label}: signed in again`)
      assert.equal(await heading(page), `Welcome ${name}!`, label)
      return
    }
    await press(page, button(page, 'Sign out of both'))
  }
  assert.fail(`${label}: no way in`)
}

test('two deployments on a domain and one below it', { timeout: 240_000 }, () =>
  tell(TLS(ACCOUNTS, 'cookie.domain=example.test'), ({ server: parent, visit }) =>
    tell(TLS('accounts.staging.example.test', 'cookie.domain=staging.example.test'), async ({ server: child }) => {
      parent.user('Ada')
      child.user('Mallory')
      for (const order of [[[parent, 'Ada'], [child, 'Mallory']], [[child, 'Mallory'], [parent, 'Ada']]]) {
        const page = await visit(BROWSER)
        for (const [server, name] of order) await inAgain(page, server.url, name, 'the first time')
        for (const [server, name] of order) await calm(page, server.url, [name], 'signed in to both')
        for (const [server, name] of order) {
          await out(page, server.url, name)
          await calm(page, server.url, [], 'signed out')
          await inAgain(page, server.url, name, name)
        }
        for (const [server, name] of order) await calm(page, server.url, [name], 'signed in again')
      }
    }),
  ),
)

const DOMAINS = ['', 'example.test', ACCOUNTS]
for (const from of DOMAINS) {
  for (const to of DOMAINS.filter((to) => to !== from)) {
    test(`cookie.domain was ${from || 'not set'} and is ${to || 'not set'}`, { timeout: 120_000 }, () =>
      tell(TLS(ACCOUNTS, `cookie.domain=${from}`), async ({ server, visit }) => {
        server.user('Ada')
        const page = await visit(BROWSER)
        await inAgain(page, server.url, 'Ada', 'before')
        const other = await visit(BROWSER)
        await inAgain(other, server.url, 'Ada', 'before')
        await server.restart(`cookie.domain=${to}`)
        await calm(page, server.url, ['Ada'], 'after')
        await inAgain(page, server.url, 'Ada', 'after')
        await calm(page, server.url, ['Ada'], 'in again')
        await out(page, server.url, 'after')
        await inAgain(page, server.url, 'Ada', 'after')
        // And back, with the cookies of both.
        await server.restart(`cookie.domain=${from}`)
        for (const each of [page, other]) {
          await calm(each, server.url, ['Ada'], 'back')
          await out(each, server.url, 'back')
          await calm(each, server.url, [], 'out')
          await inAgain(each, server.url, 'Ada', 'back')
        }
      }),
    )
  }
}
