// A real browser with a real proxy: to an application, by the login and back, and by a link from another site.
//
// Usage: node --test tests/proxies/browser.mjs, with the program in DOORWARD and a browser in CHROMIUM.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { openBrowser } from '../browser/chromium.mjs'

const PASSWORD = 'a proxy is a patient porter'

// The place of proxies.py, for as long as its standard input is open.
async function behind(proxy) {
  const command = ['tests/proxies/proxies.py', proxy, '--serve']
  const place = spawn('python3', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(createInterface({ input: place.stdout }), 'line')
  const ended = once(place, 'exit')
  return { port: Number(line), stop: () => (place.stdin.end(), ended) }
}

for (const proxy of ['nginx', 'caddy']) {
  test(`behind ${proxy} a person signs in once, and goes where they wanted`, { timeout: 120_000 }, async () => {
    const place = await behind(proxy)
    const browser = await openBrowser()
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      const page = await context.newPage()
      const wanted = `https://app.example.com:${place.port}/notes?page=2`
      await page.goto(wanted)
      assert.match(page.url(), new RegExp(`^https://accounts\\.example\\.com:${place.port}/login\\?return_to=`))
      await page.getByLabel('Email').fill('grace@example.org')
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.waitForURL(wanted)
      const head = await page.locator('body').textContent()
      assert.match(head, /Remote-Role: user/)
      assert.doesNotMatch(head, /sessionId/)

      // If the role doesn't suffice, Doorward's page is shown, at the application's host and with Doorward's style.
      await page.goto(`https://app.example.com:${place.port}/admin`)
      assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'This door stays shut')
      assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.skip')).position), 'absolute')
      await page.getByRole('link', { name: 'Go to your dashboard' }).click()
      await page.waitForURL(`https://accounts.example.com:${place.port}/dashboard`)

      // A link on another site: the browser withholds the strict cookie, and sends it with the request of our own page.
      await context.route('https://elsewhere.test/', (route) =>
        route.fulfill({ contentType: 'text/html', body: `<a href="${wanted}">notes</a>` }),
      )
      await page.goto('https://elsewhere.test/')
      await page.getByRole('link').click()
      await page.waitForURL(wanted)
      assert.match(await page.locator('body').textContent(), /Remote-Role: user/)

      await page.goto(`https://accounts.example.com:${place.port}/logout`)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL('**/login*')
      await page.goto(wanted)
      assert.match(page.url(), /\/login\?return_to=/)
    } finally {
      await browser.close()
      await place.stop()
    }
  })
}
