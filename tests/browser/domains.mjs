// Hosts below example.test, which this machine answers for. Every visitor there expects that redirects end, that no
// other account is shown, and that signing out and in works.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { button, email, heading, path, press, signIn } from './support.mjs'

const folder = mkdtempSync(join(tmpdir(), 'doorward-tls-'))
after(() => rmSync(folder, { recursive: true }))
export const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
const kept = ['-keyout', key, '-out', cert, '-subj', '/CN=example.test']
execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...kept], { stdio: 'ignore' })

export const TLS = (host, ...more) => (port) => [
  '--tls-cert', cert, '--tls-key', key, '--set', `public_url=https://${host}:${port}`,
  ...more.flatMap((setting) => ['--set', setting]),
]
export const ACCOUNTS = 'accounts.example.test'
export const BROWSER = { ignoreHTTPSErrors: true }
export const PEOPLE = ['Ada', 'Mallory', 'Trudy']

// Goes there as `go` does, and returns where it ended and whom the page names.
export async function visited(page, go) {
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

// Every page ends its redirects and names only one of these.
export async function calm(page, url, allowed, label) {
  for (const wanted of PAGES) {
    const { at, shown } = await visited(page, () => page.goto(url + wanted))
    assert.ok(PAGES.includes(at), `${label}: ${wanted} ended at ${at}`)
    assert.deepEqual(shown.filter((name) => !allowed.includes(name)), [], `${label}: ${wanted}`)
    assert.ok(shown.length <= 1, `${label}: ${wanted} shows ${shown}`)
  }
}

// Signs out in the ways that the pages offer, until nobody is signed in.
export async function out(page, url, label) {
  for (let tries = 0; tries < 3; tries++) {
    const { at, isAmbiguous } = await visited(page, () => page.goto(`${url}/dashboard`))
    if (at === '/login') return
    const way = isAmbiguous ? button(page, 'Sign out of both') : page.getByRole('navigation').getByRole('button', { name: 'Sign out' })
    await press(page, way)
  }
  assert.fail(`${label}: no way out`)
}

// Signs in by the form; if two sign-ins meet, by the page that says so.
export async function inAgain(page, url, name, label) {
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
