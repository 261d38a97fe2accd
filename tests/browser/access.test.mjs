// Pages for everybody: axe-core's checks, and use with only a keyboard.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { email, heading, path, PASSWORD, story } from './support.mjs'
import { tour } from './tour.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

async function violations(page) {
  await page.evaluate(AXE)
  const found = await page.evaluate(() => axe.run(document))
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`))
}

for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [[1280, 800], [320, 640]]) {
    story(`axe finds nothing on any page, ${colorScheme}, ${width} wide`, ['--dev'], async (scene) => {
      const found = {}
      const see = async (name, page) => {
        const here = await violations(page)
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        if (beyond > 0) here.push(`scrolls sideways by ${beyond} px`)
        if (here.length) found[name] = here
      }
      await tour({ ...scene, see, colorScheme, viewport: { width, height } })
      assert.deepEqual(found, {})
    })
  }
}

story('signing in and out with a keyboard alone', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit()
  await page.goto('/login')
  const { keyboard } = page
  await until(page, 'Email')
  await keyboard.type(email('ada'))
  await keyboard.press('Tab')
  await until(page, 'Password')
  await keyboard.type(PASSWORD)
  let loaded = page.waitForEvent('load')
  await keyboard.press('Enter')
  await loaded
  assert.equal(await heading(page), 'Welcome Ada!')

  // The first focus stop of the page skips its head.
  await keyboard.press('Tab')
  assert.equal(await focused(page), 'Skip to the content')
  await until(page, 'Sign out')
  loaded = page.waitForEvent('load')
  await keyboard.press('Enter')
  await loaded
  assert.equal(path(page), '/login')
})

const focused = (page) =>
  page.evaluate(() => {
    const here = document.activeElement
    const name = here.labels?.[0]?.innerText || here.getAttribute('aria-label') || here.innerText
    const style = getComputedStyle(here)
    // A user who can't see the focus can't go on.
    const seen = here === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    return seen ? name : `${name}, unseen`
  })

async function until(page, name) {
  const passed = []
  while ((await focused(page)) !== name) {
    passed.push(await focused(page))
    assert.ok(passed.length < 30, `no ${name} among ${passed}`)
    await page.keyboard.press('Tab')
  }
}
