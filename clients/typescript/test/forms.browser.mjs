// The form of `doorward/react/forms` and `doorward/elements`, in a real browser.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../../tests/browser/chromium.mjs'
import { loadReact } from './react.mjs'
import { ada, serve, until, using, wire } from './support.mjs'

const { resolve } = createRequire(import.meta.url)
const AXE = readFileSync(resolve('axe-core/axe.min.js'), 'utf8')
const SHIM = 'export const { createElement, useEffect, useRef, useSyncExternalStore } = globalThis.React'
const FILES = ['index', 'client', 'kept', 'origins', 'error', 'form', 'elements', 'react', 'react-forms']

const PAGE = `<!doctype html><html lang="en"><title>Forms</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/page.css">
<script type="importmap">{"imports": {"react": "/shim.js"}}</script><main><h1>Shop</h1></main>`

/** Neither an inline style nor a script of another place. */
const POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self'; img-src data:"

let browser
before(async () => {
  browser = await openBrowser()
})
after(() => browser?.close())

async function open(use, line, options) {
  const context = await browser.newContext(options)
  use({ stop: () => context.close() })
  const give = (path, contentType, body, headers) =>
    context.route(`${line.url}${path}`, (route) => route.fulfill({ body, headers: { 'content-type': contentType, ...headers } }))
  await give('/page', 'text/html', PAGE, { 'content-security-policy': POLICY })
  await give('/page.css', 'text/css', 'html { color-scheme: light dark; background: Canvas; color: CanvasText }')
  await give('/shim.js', 'text/javascript', SHIM)
  for (const name of FILES) {
    await give(`/${name}.js`, 'text/javascript', readFileSync(new URL(`../dist/${name}.js`, import.meta.url), 'utf8'))
  }
  const page = await context.newPage()
  page.problems = []
  page.on('console', (said) => said.type() === 'error' && !/status of 4|status of 5/.test(said.text()) && page.problems.push(said.text()))
  page.on('pageerror', (error) => page.problems.push(error.message))
  await page.goto(`${line.url}/page`)
  return page
}

const kinds = {
  elements: (page) =>
    page.evaluate(async () => {
      const { createClient } = await import('/index.js')
      const { defineElements } = await import('/elements.js')
      globalThis.client = createClient({ mode: 'session' })
      document.addEventListener('doorward-sign-in', ({ detail }) => (globalThis.entered = detail.name))
      document.querySelector('main').insertAdjacentHTML('beforeend', '<doorward-sign-in></doorward-sign-in><doorward-user></doorward-user>')
      defineElements(client)
    }),
  react: async (page) => {
    await loadReact(page)
    await page.evaluate(async () => {
      const { createClient } = await import('/index.js')
      const { RequireAuth, SignInForm } = await import('/react-forms.js')
      const { useUser } = await import('/react.js')
      globalThis.client = createClient({ mode: 'session' })
      const { createElement, StrictMode } = React
      const Home = () => createElement('p', null, createElement('b', null, useUser(client)?.name), ' ', createElement('button', { onClick: () => client.logout() }, 'Sign out'))
      const fallback = createElement(SignInForm, { client, onSignIn: ({ name }) => (globalThis.entered = name) })
      const whole = createElement(RequireAuth, { client, fallback, waiting: 'One moment' }, createElement(Home))
      const root = document.querySelector('main').appendChild(document.createElement('div'))
      ReactDOM.createRoot(root).render(createElement(StrictMode, null, whole))
    })
  },
}

/** What axe finds wrong, as the page is now. */
async function faults(page) {
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}

const isTied = (input) => ({ invalid: input.getAttribute('aria-invalid'), why: document.getElementById(input.getAttribute('aria-describedby'))?.textContent })

for (const [kind, mount] of Object.entries(kinds)) {
  test(`a form signs in, and ties what is wrong to its field: ${kind}`, { timeout: 60_000 }, () =>
    using(async (use) => {
      const server = use(await serve())
      const line = use(await wire(server.url))
      const page = await open(use, line, { viewport: { width: 1200, height: 800 } })
      await mount(page)
      const [email, password] = ['Email', 'Password'].map((label) => page.getByLabel(label))
      const submit = page.getByRole('button', { name: 'Sign in' })
      await submit.waitFor()
      assert.equal(await page.locator('form').count(), 1)
      assert.deepEqual(await email.evaluate(({ autocomplete, type }) => [autocomplete, type]), ['username', 'email'])
      assert.deepEqual(await password.evaluate(({ autocomplete, type }) => [autocomplete, type]), ['current-password', 'password'])

      await email.fill('no address')
      await submit.click()
      await page.locator('[aria-invalid]').first().waitFor()
      const tied = await email.evaluate(isTied)
      assert.equal(tied.invalid, 'true')
      assert.match(tied.why, /^Email \w/)
      assert.ok(await email.evaluate((input) => input === document.activeElement))
      for (const colorScheme of ['light', 'dark']) {
        for (const width of [320, 1200]) {
          await page.emulateMedia({ colorScheme })
          await page.setViewportSize({ width, height: 700 })
          assert.deepEqual(await faults(page), [], `${colorScheme} ${width}`)
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
          if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${kind}-${colorScheme}-${width}.png` })
        }
      }

      await email.fill(ada.email)
      await password.fill(ada.password)
      await submit.click()
      await page.getByRole('alert').filter({ hasText: 'Invalid email or password' }).waitFor()
      assert.equal((await email.evaluate(isTied)).invalid, null)
      assert.ok(await password.evaluate((input) => input === document.activeElement))

      line.away = 503
      await page.keyboard.press('Enter')
      await page.getByRole('alert').filter({ hasText: 'try again in a moment' }).waitFor()
      line.away = 0
      await (await fetch(`${server.url}/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(ada) })).text()
      // Two clicks are one sign-in.
      const before = line.seen.length
      await submit.dblclick()
      await page.getByText('ada', { exact: true }).waitFor()
      assert.equal(line.seen.slice(before).filter(({ path }) => path === '/login').length, 1)
      assert.equal(await page.evaluate(() => globalThis.entered), 'ada')
      assert.equal(await submit.isVisible(), false)
      assert.deepEqual(await faults(page), [])
      await page.getByRole('button', { name: 'Sign out' }).click()
      await submit.waitFor()
      assert.equal(await password.inputValue(), '')
      assert.deepEqual(page.problems, [])
    }),
  )
}

test('a form creates an account, and a removed one leaves nothing behind', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await serve())
    const line = use(await wire(server.url))
    const page = await open(use, line)
    await page.evaluate(async () => {
      const { createClient } = await import('/index.js')
      const { defineElements } = await import('/elements.js')
      globalThis.client = createClient({ mode: 'session' })
      defineElements(client, { texts: { register: 'Konto anlegen' } })
      document.querySelector('main').insertAdjacentHTML('beforeend', '<doorward-sign-in action="register"></doorward-sign-in>')
      const one = document.querySelector('doorward-sign-in')
      one.remove()
      document.querySelector('main').append(one)
    })
    const button = page.getByRole('button', { name: 'Konto anlegen' })
    await button.waitFor()
    assert.equal(await page.locator('form').count(), 1)
    assert.equal(await page.getByLabel('Password').evaluate((input) => input.autocomplete), 'new-password')
    await page.getByLabel('Email').fill(ada.email)
    await page.getByLabel('Password').fill('short')
    await button.click()
    await page.locator('[aria-invalid]').nth(1).waitFor()
    assert.ok(await page.getByLabel('Name').evaluate((input) => input === document.activeElement))
    await page.getByLabel('Name').fill(ada.name)
    await page.getByLabel('Password').fill(ada.password)
    await page.keyboard.press('Enter')
    await until('the account', () => page.evaluate(() => globalThis.client.user?.name === 'ada'))
    assert.equal(await button.isVisible(), false)
  }),
)
