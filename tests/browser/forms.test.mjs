// The script of forms: it shows a password, and says that a form was sent. It needs nothing that the pages' policy
// forbids, and pages work without it.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { PASSWORD, button, email, fill, heading, press, register, signIn, story, unfold } from './support.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const reveal = (page, label = 'Show Password') => page.getByRole('button', { name: label, exact: true })
const type = (field) => field.getAttribute('type')

story('a password is shown and hidden by a button, also by the keyboard', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  await page.context().clearCookies()
  await page.goto('/login')
  const [field, show] = [page.getByLabel('Password', { exact: true }), reveal(page)]
  await fill(page, { Email: email('ada'), Password: PASSWORD })
  assert.deepEqual([await type(field), await show.getAttribute('aria-pressed')], ['password', 'false'])
  assert.equal(await show.getAttribute('aria-controls'), await field.getAttribute('id'))
  await show.click()
  assert.deepEqual([await type(field), await show.getAttribute('aria-pressed')], ['text', 'true'])
  assert.equal(await field.inputValue(), PASSWORD)
  // It follows its field, and Space presses it.
  await field.focus()
  await page.keyboard.press('Tab')
  assert.equal(await show.evaluate((one) => one === document.activeElement), true)
  await page.keyboard.press('Space')
  assert.deepEqual([await type(field), await show.getAttribute('aria-pressed')], ['password', 'false'])
  // Enter in the field sends the form, and what is sent is a password.
  await show.click()
  const sent = page.waitForRequest((request) => request.method() === 'POST')
  const loaded = page.waitForEvent('load')
  await field.press('Enter')
  assert.equal(new URLSearchParams((await sent).postData()).get('password'), PASSWORD)
  await loaded
  assert.equal(await heading(page), 'Welcome Ada!')
  const form = await unfold(page, 'Password')
  assert.equal(await reveal(form, 'Show Current password').count(), 1)
  assert.equal(await reveal(form, 'Show New password').count(), 1)
})

story('every password has its button, which leaves the page right for everybody', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const link = new URL(/http\S+/.exec(server.run(['user', 'reset-link', email('Ada')]))[0])
  for (const colorScheme of ['light', 'dark']) {
    const page = await visit({ colorScheme, viewport: { width: 320, height: 640 } })
    const right = async () => {
      const shown = page.locator('input[type=password]:visible')
      assert.equal(await page.locator('.reveal:visible').count(), await shown.count(), page.url())
      for (const one of await page.locator('.reveal:visible').all()) {
        await one.click()
        const [button, field] = [await one.boundingBox(), await one.locator('xpath=..').boundingBox()]
        assert.ok(button.height >= 24 && button.x + button.width <= field.x + field.width + 0.5, page.url())
      }
      await page.evaluate(AXE)
      const found = await page.evaluate(() => axe.run(document))
      assert.deepEqual(found.violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)]), [], page.url())
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), page.url())
    }
    for (const path of ['/login', '/register', link.pathname + link.search]) {
      await page.goto(path)
      await right()
    }
    await signIn(page, 'Ada')
    for (const part of ['Email', 'Password', 'Delete account']) await unfold(page, part)
    await right()
  }
})

story('a form that was sent says so until its answer comes, and can be sent again', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit({ reducedMotion: 'reduce' })
  await page.goto('/login')
  const [submit, status] = [button(page, 'Sign in'), page.locator('[role=status].unseen')]
  const pending = () => submit.evaluate((one) => 'pending' in one.dataset)
  // A form that isn't sent isn't pending.
  await submit.click()
  assert.deepEqual([await pending(), await status.innerText()], [false, ''])

  // The first one is lost on its way, and the page stays.
  let sent = 0
  await page.route('**/login', (route) =>
    route.request().method() === 'POST' && ++sent === 1 ? route.abort('aborted') : route.fallback(),
  )
  await fill(page, { Email: email('Ada'), Password: PASSWORD })
  await submit.click({ noWaitAfter: true })
  await page.locator('[data-pending]').waitFor()
  assert.equal(await status.innerText(), 'One moment, please')
  assert.equal(await submit.evaluate((one) => getComputedStyle(one, '::after').animationName), 'none')
  // It doesn't block a second click.
  await press(page, submit)
  assert.equal(sent, 2)
  assert.equal(await heading(page), 'Welcome Ada!')

  // Also if the back button finds the page as it was left.
  await page.goto('/logout')
  await page.evaluate(() => {
    document.querySelector('main button').dataset.pending = ''
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))
  })
  assert.equal(await page.locator('[data-pending]').count(), 0)
})

story('without the script the page is as it was', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit({ javaScriptEnabled: false })
  await page.goto('/login')
  assert.equal(await page.locator('.reveal').count(), 0)
  await signIn(page, 'Ada')
  assert.equal(await heading(page), 'Welcome Ada!')
})

story('no table of the page of the API leaves its card at 320 px', ['--dev'], async ({ visit }) => {
  const page = await visit({ viewport: { width: 320, height: 640 } })
  await page.goto('/docs')
  const beyond = await page.evaluate(() => {
    const inner = (card) => card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingRight)
    const wide = (table) => table.getBoundingClientRect().right > inner(table.closest('.card')) + 0.5
    return [...document.querySelectorAll('table, table *')].filter(wide).map((one) => one.innerText.slice(0, 60))
  })
  assert.deepEqual(beyond, [])
})
