// useUser, in a real browser and a real React.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../../tests/browser/chromium.mjs'
import { loadReact } from './react.mjs'
import { ada, serve, using, wire } from './support.mjs'

const PAGE = `<!doctype html><html lang="en"><title>React</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"react": "/shim.js"}}</script><main></main>`

let browser
before(async () => {
  browser = await openBrowser()
})
after(() => browser?.close())

test('a component shows who is signed in, and follows', { timeout: 60_000 }, () =>
  using(async (use) => {
    const server = use(await serve())
    const line = use(await wire(server.url))
    line.away = 502
    const context = await browser.newContext()
    use({ stop: () => context.close() })
    const give = (path, contentType, body) =>
      context.route(`${line.url}${path}`, (route) => route.fulfill({ body, contentType }))
    await give('/page', 'text/html', PAGE)
    await give('/shim.js', 'text/javascript', 'export const { useEffect, useSyncExternalStore } = globalThis.React')
    for (const name of ['index', 'client', 'kept', 'origins', 'error', 'react']) {
      await give(`/${name}.js`, 'text/javascript', readFileSync(new URL(`../dist/${name}.js`, import.meta.url), 'utf8'))
    }
    const page = await context.newPage()
    await page.goto(`${line.url}/page`)
    await loadReact(page)
    await page.evaluate(async () => {
      const { createClient } = await import('/index.js')
      const { useUser } = await import('/react.js')
      globalThis.client = createClient()
      const Name = () => {
        const user = useUser(client)
        return user === undefined ? 'One moment' : (user?.name ?? 'Nobody')
      }
      const { createElement, StrictMode, Fragment } = React
      const names = createElement(Fragment, null, createElement(Name), ' and ', createElement(Name))
      ReactDOM.createRoot(document.querySelector('main')).render(createElement(StrictMode, null, names))
    })
    const says = (text) => page.locator('main').filter({ hasText: text }).waitFor({ timeout: 10_000 })
    // The server is down; once it is up the components learn of it by themselves, all with one request.
    await says('One moment and One moment')
    line.away = 0
    await says('Nobody and Nobody')
    assert.deepEqual(line.seen.map(({ path }) => path), ['/profile'])
    await page.evaluate((ada) => client.register(ada), ada)
    await says('ada')
    await page.evaluate(() => client.logout())
    await says('Nobody')
    assert.equal(await page.evaluate(() => client.user), null)
  }),
)
