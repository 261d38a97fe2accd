// The tour: each flow is played and drawn in two columns, and each can be broken.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { button, story } from './support.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// What each flow ends in: with a JWT, and with a session id.
const FLOWS = {
  register: ['Welcome', 'Welcome'],
  login: ['Welcome', 'Welcome'],
  protected: ['Welcome', 'Welcome'],
  expiry: ['401 token_expired', 'Welcome'],
  refresh: ['Welcome', 'Welcome'],
  'stolen-refresh-token': ['401 session_ended', '401 session_ended'],
  logout: ['401 session_ended', '401 session_ended'],
  'logout-everywhere': ['401 session_ended', 'No request'],
  'forbidden-role': ['403 forbidden', '403 forbidden'],
  'forged-token': ['401 token_invalid', '401 token_invalid'],
  'expired-token': ['401 token_expired', '401 session_expired'],
}
const BREAKS = {
  'Change one character of the token': ['Signature is wrong', '401 token_invalid'],
  'Wait 16 minutes': ['Expired', 'Welcome'],
  'Use the refresh token twice': ['Used before', 'No request'],
  'Log out on the phone': ['In revocations', '401 session_ended'],
}

const played = (page) => page.locator('#state').filter({ hasText: 'Played' }).waitFor()
const last = (page, side) => page.locator('#scenes .scene').last().locator('.column').nth(side)

async function open(visit, flow, options) {
  const page = await visit({ viewport: { width: 1680, height: 1000 }, ...options })
  await page.goto(`/tour#${flow}`)
  await played(page)
  return page
}

async function isAccessible(page) {
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => axe.run(document))
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), [])
  assert.equal(await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, 0)), 0)
}

story('each flow of the tour is played in two columns', ['--dev'], async ({ visit }) => {
  const page = await open(visit, 'register')
  for (const [flow, ends] of Object.entries(FLOWS)) {
    await page.locator(`.flows-of-tour a[href="#${flow}"]`).click()
    await page.locator('#state').filter({ hasText: 'Played' }).waitFor()
    const title = await page.locator('.flows-of-tour a[aria-current]').innerText()
    await page.locator('#stage-title').filter({ hasText: title }).waitFor()
    for (const [side, end] of ends.entries()) {
      const column = await last(page, side).innerText()
      assert.ok(column.includes(end), `${flow}: ${end} in ${column}`)
    }
    for (const said of await page.locator('.said p').allInnerTexts()) assert.ok(said.length > 20, flow)
  }
})

story('equal steps are at equal heights, and the look-up that a token saves is a gap', ['--dev'], async ({ visit }) => {
  const page = await open(visit, 'protected')
  const tops = (side) =>
    last(page, side).locator('.steps > li').evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().top)))
  const [jwt, session] = [await tops(0), await tops(1)]
  assert.deepEqual(jwt, session)
  assert.equal(await last(page, 0).locator('.gap.saved').first().innerText(), 'no look-up')
})

story('a plain JWT misses the logout, and ours does not', ['--dev'], async ({ visit }) => {
  const page = await open(visit, 'logout')
  const colours = await page.locator('.missed, .kept').evaluateAll((all) => all.map((one) => getComputedStyle(one).color))
  assert.equal(colours.length, 2)
  assert.notEqual(colours[0], colours[1])
  assert.match(await page.locator('.missed').innerText(), /^✗ A plain JWT is still accepted/)
  assert.match(await page.locator('.kept').innerText(), /^✓ Refused at once/)
})

story('each break draws the request before and after, and marks the first difference', ['--dev'], async ({ visit }) => {
  for (const flow of ['register', 'login', 'protected', 'refresh']) {
    const page = await open(visit, flow)
    for (const [name, [difference, session]] of Object.entries(BREAKS)) {
      await button(page, name).click()
      await page.locator('#broken-title').filter({ hasText: name.toLowerCase() }).waitFor()
      const marked = page.locator('#broken .column:first-child .marked')
      assert.equal(await marked.count(), 1, `${flow}: ${name}`)
      assert.match(await marked.innerText(), new RegExp(`The first difference[^]*${difference}`))
      const after = page.locator('#broken .scene').last().locator('.column').nth(1)
      assert.ok((await after.innerText()).includes(session), `${flow}: ${name}`)
    }
  }
})

story('the tour with a keyboard alone', ['--dev'], async ({ visit }) => {
  const page = await open(visit, 'expiry')
  const focused = () => page.evaluate(() => document.activeElement.textContent)
  const tabTo = async (text) => {
    for (let press = 0; press < 60; press++) {
      if ((await focused()) === text) return
      await page.keyboard.press('Tab')
    }
    assert.fail(`${text} is not reached`)
  }
  await tabTo('Refresh')
  await page.keyboard.press('Enter')
  await page.locator('#stage-title').filter({ hasText: 'Refresh' }).waitFor()
  await tabTo('Wait 16 minutes')
  await page.keyboard.press('Enter')
  await page.locator('#broken-title').waitFor()
  assert.equal(await focused(), 'Broken: wait 16 minutes')
})

for (const [width, height] of [[1680, 1000], [1280, 800], [320, 640]]) {
  for (const colorScheme of ['light', 'dark']) {
    story(`axe finds nothing on the tour, ${width} wide, ${colorScheme}`, ['--dev'], async ({ visit }) => {
      const page = await open(visit, 'protected', { viewport: { width, height }, colorScheme })
      await isAccessible(page)
      await button(page, 'Log out on the phone').click()
      await page.locator('#broken-title').waitFor()
      await isAccessible(page)
      const folder = process.env.TOUR_PICTURES
      if (folder) await page.screenshot({ path: `${folder}/tour-${width}-${colorScheme}.png`, fullPage: true })
    })
  }
}
