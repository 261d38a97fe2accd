// examples/spa, as a person uses it, in bearer and in cookie mode.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openBrowser } from '../../../tests/browser/chromium.mjs'
import { PASSWORD, ada, freePort, program, serve, until, using } from './support.mjs'

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const SPA = fileURLToPath(new URL('../../../examples/spa/serve.mjs', import.meta.url))

let browser
before(async () => {
  browser = await openBrowser()
})
after(() => browser?.close())

/** The page, and a Doorward that knows its address. */
async function both(use, mode) {
  const PORT = await freePort()
  const origin = `http://localhost:${PORT}`
  const door = use(await serve(['--set', `origins=${origin}`]))
  use(await program(SPA, { DOORWARD: door.url.replace('127.0.0.1', 'localhost'), MODE: mode, PORT }))
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 900, height: 760 } })
  context.setDefaultTimeout(20_000)
  use({ stop: () => context.close() })
  return { door, context }
}

async function looksWell(page, name) {
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true)
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [])
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/spa-${name}.png`, fullPage: true })
}

const button = (page, name) => page.getByRole('button', { name, exact: true })
const welcome = (page) => page.getByRole('heading', { name: 'Welcome ada!' }).waitFor()
const door = (page) => page.getByRole('heading', { name: 'Sign in' }).waitFor()

async function signIn(page, password = PASSWORD) {
  await page.getByLabel('Email', { exact: true }).fill(ada.email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await button(page, 'Sign in').click()
}

for (const mode of ['bearer', 'cookie']) {
  test(`the page signs in, shows the devices and signs out: ${mode}`, { timeout: 120_000 }, () =>
    using(async (use) => {
      const { door: server, context } = await both(use, mode)
      const page = await context.newPage()
      const complaints = []
      page.on('pageerror', (error) => complaints.push(String(error)))
      await page.goto('/')
      await door(page)
      await looksWell(page, `${mode}-door`)
      await page.getByText('New here?').click()
      await page.getByLabel('Your name').fill(ada.name)
      await page.getByLabel('Your email').fill(ada.email)
      await page.getByLabel('A new password').fill(ada.email)
      await button(page, 'Create account').click()
      await page.getByRole('alert').filter({ hasText: 'Password must' }).waitFor()
      await page.getByLabel('A new password').fill(PASSWORD)
      await button(page, 'Create account').click()
      await welcome(page)

      await fetch(`${server.url}/login`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(ada),
      })
      // With cookies, another tab has the sign-in too; and a reload keeps it.
      const second = await context.newPage()
      await second.goto('/')
      if (mode === 'bearer') {
        await door(second)
        await signIn(second, 'a wrong one')
        await second.getByRole('alert').filter({ hasText: 'Invalid email or password' }).waitFor()
        await signIn(second)
      }
      await welcome(second)
      const others = second.locator('#devices li').filter({ has: second.getByRole('button') })
      await others.first().waitFor()
      await looksWell(second, `${mode}-home`)
      const before = await others.count()
      await second.locator('#devices li', { hasText: 'node' }).getByRole('button').click()
      await until('the end of a device', async () => (await others.count()) === before - 1)

      if (mode === 'cookie') {
        await second.reload()
        await welcome(second)
      }
      // A server that is down signs nobody out, and the page says so.
      const { port } = new URL(server.url)
      await server.end()
      await button(second, 'Sign out everywhere').click()
      await second.getByRole('alert').filter({ hasText: 'try again' }).waitFor()
      await welcome(second)
      await server.start(port)
      await button(second, 'Sign out everywhere').click()
      await door(second)
      await door(page)
      assert.deepEqual(complaints, [])
    }),
  )
}
