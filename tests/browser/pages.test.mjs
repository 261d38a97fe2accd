// How pages look: narrow, after an action, with devices that look alike, and in forced colours.

import assert from 'node:assert/strict'
import { FIREFOX, IPHONE, PASSWORD, button, email, fill, press, register, signIn, story } from './support.mjs'
import { tour } from './tour.mjs'

// Words that begin on one line and end on another; generated ones may break anywhere.
const broken = () => {
  const found = []
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.parentElement.closest('.code, pre, table')) continue
    for (const { 0: word, index } of text.data.matchAll(/\p{L}+/gu)) {
      const range = document.createRange()
      range.setStart(text, index)
      range.setEnd(text, index + word.length)
      if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) found.push(word)
    }
  }
  for (const card of document.querySelectorAll('body:not(.docs) .card')) {
    if (card.scrollWidth > card.clientWidth) found.push(`beyond the edge of ${card.querySelector('h2').innerText}`)
  }
  return found
}

story('no word breaks inside or leaves its card at 320 px', ['--dev'], async (scene) => {
  const found = {}
  const see = async (name, page) => {
    const here = await page.evaluate(broken)
    if (here.length) found[name] = here
  }
  await tour({ ...scene, see, viewport: { width: 320, height: 640 } })
  assert.deepEqual(found, {})
})

story('a name of one long word makes no page scroll sideways', ['--dev'], async ({ server, visit }) => {
  const long = 'Wolfeschlegelsteinhausenbergerdorff'.repeat(3)
  const page = await visit({ viewport: { width: 320, height: 640 } })
  server.user('Root', 'admin')
  server.run(['user', 'create', '--name', long, '--email', email('long'), '--password-stdin'], PASSWORD)
  await signIn(page, 'long')
  const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), page.url())
  await fits()
  await page.context().clearCookies()
  await signIn(page, 'Root')
  for (const path of ['/admin/users', '/admin/sessions', '/admin/audit']) {
    await page.goto(path)
    await fits()
  }
  await page.goto('/admin/users')
  await press(page, page.getByRole('link', { name: long }))
  await fits()
})

story('what was done stands below the heading', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  const below = async () => {
    const heading = await page.getByRole('heading', { level: 1 }).boundingBox()
    const notice = await page.locator('.notice[role=status]').boundingBox()
    assert.ok(notice.y >= heading.y + heading.height, page.url())
  }
  await page.goto('/dashboard?done=name-changed')
  await below()
  await press(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }))
  await below()
})

story('this device comes first, and each button names its own', ['--dev'], async ({ visit }) => {
  const page = await visit({ userAgent: FIREFOX })
  await register(page, 'Ada')
  for (const userAgent of [IPHONE, FIREFOX, FIREFOX]) await signIn(await visit({ userAgent }), 'Ada')
  await page.reload()
  const devices = page.getByRole('region', { name: 'Your devices' }).getByRole('listitem')
  assert.equal(await devices.count(), 4)
  assert.match(await devices.first().innerText(), /This device/)
  assert.equal(await devices.filter({ hasText: 'This device' }).count(), 1)
  const labels = await devices.getByRole('button').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')))
  assert.equal(new Set(labels).size, 3)
  for (const label of labels) assert.match(label, /^Sign out (Firefox on Linux|Safari on iPhone), since .+ UTC/)
})

story('what is wrong with a field is said once', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await page.goto('/register')
  await fill(page, { Name: 'Ada', Email: email('ada'), Password: 'password1' })
  await press(page, button(page, 'Create account'))
  const field = page.getByLabel('Password', { exact: true })
  const [id] = (await field.getAttribute('aria-describedby')).split(' ')
  const message = await page.locator(`[id="${id}"]`).innerText()
  assert.equal((await page.locator('main').innerText()).split(message).length, 2, message)
  assert.match(await page.getByRole('alert').innerText(), /Password/)
})

story('forced colours keep the door, the current page and this device', ['--dev'], async ({ server, visit }) => {
  const page = await visit({ forcedColors: 'active' })
  const border = (locator, side, part = null) =>
    locator.evaluate((one, [side, part]) => parseFloat(getComputedStyle(one, part)[`border${side}Width`]), [side, part])
  await page.goto('/login')
  assert.ok(await border(page.locator('main'), 'Left') > 0)
  server.user('Root', 'admin')
  await signIn(page, 'Root')
  assert.ok(await border(page.getByRole('listitem').filter({ hasText: 'This device' }), 'Left', '::before') > 1)
  await page.goto('/admin/users')
  const tabs = page.getByRole('navigation', { name: 'Administration' })
  assert.ok(await border(tabs.getByRole('link', { name: 'Users' }), 'Bottom') > 1)
  assert.equal(await border(tabs.getByRole('link', { name: 'Sessions' }), 'Bottom'), 0)
})
