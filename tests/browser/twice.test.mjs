// Every form, double-clicked in a browser that throws the first answer away.

import assert from 'node:assert/strict'
import { after } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  PASSWORD, button, confirm, email, fill, heading, path, press, register, signIn, story, storyWithAndWithoutScripts, unfold,
} from './support.mjs'

const NEW_PASSWORD = 'another door, another promise'

// On a busy machine the second click may hit the next page: most don't.
let doubled = 0
after(() => assert.ok(doubled > 10, `${doubled} forms were sent twice`))

// Presses it twice, on a slow network, and waits for the page at the end. Waiting for a navigation would see the one
// that the second click aborts.
async function twice(page, button, end) {
  const cdp = await page.context().newCDPSession(page)
  const slow = { offline: false, latency: 400, downloadThroughput: -1, uploadThroughput: -1 }
  await cdp.send('Network.emulateNetworkConditions', slow)
  const sent = []
  const note = (request) => request.method() === 'POST' && sent.push(request)
  page.on('request', note)
  await button.dblclick({ noWaitAfter: true, delay: 10 })
  for (const until = Date.now() + 15_000; !end.test(page.url()); await pause(50)) {
    assert.ok(Date.now() < until, `${page.url()} and not ${end}`)
  }
  await page.waitForLoadState()
  page.off('request', note)
  await cdp.detach()
  doubled += sent.length === 2
}

const devices = (page) => page.getByRole('region', { name: 'Your devices' }).getByRole('listitem')

for (const mode of ['session', 'cookie']) {
  const flags = ['--dev', '--set', `mode_form=${mode}`]
  storyWithAndWithoutScripts(`two clicks on the way in and out, in ${mode} mode`, flags, async ({ server, visit }) => {
    const page = await visit()
    await page.goto('/register')
    await fill(page, { Name: 'Ada', Email: email('ada'), Password: PASSWORD })
    await twice(page, button(page, 'Create account'), /\/dashboard$/)
    assert.equal(await heading(page), 'Welcome Ada!')
    assert.equal(await devices(page).count(), 1)

    await twice(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }), /\/login\?done=signed-out$/)
    await page.goto('/dashboard')
    assert.equal(path(page), '/login')

    await fill(page, { Email: email('ada'), Password: PASSWORD })
    await twice(page, button(page, 'Sign in'), /\/dashboard$/)
    assert.equal(await devices(page).count(), 1)
    await page.reload()
    assert.equal(await heading(page), 'Welcome Ada!')

    const link = new URL(/http\S+/.exec(server.run(['user', 'reset-link', email('ada')]))[0])
    await page.goto(link.pathname + link.search)
    await fill(page, { 'New password': NEW_PASSWORD })
    await twice(page, button(page, 'Set password'), /\/login\?done=password-reset$/)
    await signIn(page, 'ada', NEW_PASSWORD)
    assert.equal(await heading(page), 'Welcome Ada!')
  })
}

storyWithAndWithoutScripts('two clicks on a form that is refused', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit()
  await page.goto('/login')
  await fill(page, { Email: email('ada'), Password: 'a wrong promise' })
  const shown = page.getByText('Invalid email or password').waitFor()
  await button(page, 'Sign in').dblclick({ noWaitAfter: true })
  await shown
  assert.equal(await page.getByLabel('Email', { exact: true }).inputValue(), email('ada'))
  await signIn(page, 'ada')
  assert.equal(await heading(page), 'Welcome Ada!')
})

storyWithAndWithoutScripts('two clicks on the forms of an account', ['--dev'], async ({ visit }) => {
  const page = await visit()
  const other = await visit()
  await register(page, 'Ada')
  await signIn(other, 'ada')
  await signIn(await visit(), 'ada')
  await page.reload()

  await twice(page, devices(page).getByRole('button').first(), /\/dashboard\?done=device-signed-out$/)
  assert.equal(await devices(page).count(), 2)
  await twice(page, button(page, 'Sign out all other devices'), /\/dashboard\?done=others-signed-out$/)
  assert.equal(await devices(page).count(), 1)

  let form = await unfold(page, 'Name')
  await fill(form, { Name: 'Ada Lovelace' })
  await twice(page, button(form, 'Change name'), /\/dashboard\?done=name-changed$/)
  assert.equal(await heading(page), 'Welcome Ada Lovelace!')

  form = await unfold(page, 'Email')
  await fill(form, { 'New email': email('lovelace'), 'Current password': PASSWORD })
  await twice(page, button(form, 'Change email'), /\/dashboard\?done=email-changed$/)
  await page.getByText(`Signed in as ${email('lovelace')}`).waitFor()

  form = await unfold(page, 'Password')
  await fill(form, { 'Current password': PASSWORD, 'New password': NEW_PASSWORD })
  await twice(page, button(form, 'Change password'), /\/dashboard\?done=password-changed$/)
  await page.reload()
  assert.equal(await heading(page), 'Welcome Ada Lovelace!')

  await twice(page, button(page, 'Sign out everywhere'), /\/login\?done=signed-out-everywhere$/)
  await signIn(page, 'lovelace', NEW_PASSWORD)
  form = await unfold(page, 'Delete account')
  await fill(form, { 'Current password': NEW_PASSWORD })
  await twice(page, button(form, 'Delete my account'), /\/login\?done=account-deleted$/)
})

story('two clicks on the forms of an admin', ['--dev'], async ({ server, visit }) => {
  server.user('Root', 'admin')
  const page = await visit()
  await signIn(page, 'Root')
  await page.goto('/admin/users')
  const created = page.getByRole('region', { name: 'New user' })
  await fill(created, { Name: 'Grace', Email: email('Grace') })
  await twice(page, button(created, 'Create user'), /\/admin\/users\/[^\/?]+\?done=user-created$/)

  // Acts that open accounts ask for the password once.
  const user = page.url().split('?')[0]
  await press(page, button(await unfold(page, 'reset link'), 'Make a reset link'))
  await confirm(page)
  await page.goto(user)

  let form = await unfold(page, 'Role')
  await form.getByLabel('Role').selectOption('admin')
  await twice(page, button(form, 'Change role'), /\/admin\/users\/[^\/?]+\?done=user-changed$/)
  await page.goto(user)
  form = await unfold(page, 'Sign-in')
  await twice(page, button(form, 'Disable account'), /\/admin\/users\/[^\/?]+\?done=user-changed$/)
  await page.getByText('disabled', { exact: true }).waitFor()

  form = await unfold(page, 'reset link')
  await button(form, 'Make a reset link').dblclick({ noWaitAfter: true })
  const link = page.getByLabel('The link')
  await link.waitFor()
  // A link is a secret, so the second click made another: the one that is shown works.
  const visitor = await visit()
  await visitor.goto(new URL(await link.inputValue()).pathname + new URL(await link.inputValue()).search)
  assert.equal(await heading(visitor), 'Choose a new password')

  await page.goto(user)
  form = await unfold(page, 'Delete user')
  await twice(page, form.getByRole('button'), /\/admin\/users\?done=user-deleted$/)
  await press(page, page.getByRole('link', { name: 'Root' }))
})
