// What a person does with an account, in a browser.

import assert from 'node:assert/strict'
import {
  FIREFOX, IPHONE, PASSWORD, button, email, fill, heading, path, press, register, signIn, story,
  storyWithAndWithoutScripts, unfold,
} from './support.mjs'

const NEW_PASSWORD = 'another door, another promise'

storyWithAndWithoutScripts('register, sign out, sign in', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await page.goto('/dashboard')
  assert.equal(path(page), '/login')
  await press(page, page.getByRole('link', { name: 'Create an account' }))
  await fill(page, { Name: 'Ada', Email: email('ada'), Password: PASSWORD })
  await press(page, button(page, 'Create account'))
  assert.equal(path(page), '/dashboard')
  assert.equal(await heading(page), 'Welcome Ada!')
  for (const shut of ['/login', '/register']) {
    await page.goto(shut)
    assert.equal(path(page), '/dashboard')
  }

  await press(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }))
  assert.equal(path(page), '/login')
  await page.goto('/dashboard')
  assert.equal(path(page), '/login')

  await signIn(page, 'ada', 'a wrong promise')
  await page.getByText('Invalid email or password').waitFor()
  assert.equal(await page.getByLabel('Email', { exact: true }).inputValue(), email('ada'))
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '')
  await signIn(page, 'ada')
  assert.equal(await heading(page), 'Welcome Ada!')
})

storyWithAndWithoutScripts('two devices by name, and the end of one', ['--dev'], async ({ visit }) => {
  const laptop = await visit({ userAgent: FIREFOX })
  const phone = await visit({ userAgent: IPHONE })
  await register(laptop, 'Ada')
  await signIn(phone, 'ada')

  await laptop.reload()
  const devices = laptop.getByRole('region', { name: 'Your devices' }).getByRole('listitem')
  assert.equal(await devices.count(), 2)
  assert.match(await devices.filter({ hasText: 'This device' }).innerText(), /Firefox on Linux/)
  const other = devices.filter({ hasText: 'Safari on iPhone' })
  await press(laptop, other.getByRole('button'))
  assert.equal(await devices.count(), 1)

  await phone.reload()
  assert.equal(path(phone), '/login')
  await laptop.reload()
  assert.equal(await heading(laptop), 'Welcome Ada!')

  await signIn(phone, 'ada')
  await laptop.reload()
  await press(laptop, button(laptop, 'Sign out all other devices'))
  assert.equal(await devices.count(), 1)
  await press(laptop, button(laptop, 'Sign out everywhere'))
  assert.equal(path(laptop), '/login')
  await phone.reload()
  assert.equal(path(phone), '/login')
})

storyWithAndWithoutScripts('another name, email and password', ['--dev'], async ({ visit }) => {
  const page = await visit({ userAgent: FIREFOX })
  const other = await visit({ userAgent: IPHONE })
  await register(page, 'Ada')
  await signIn(other, 'ada')

  await fill(await unfold(page, 'Name'), { Name: 'Ada <Lovelace> & "Co"' })
  await press(page, button(page, 'Change name'))
  assert.equal(await heading(page), 'Welcome Ada <Lovelace> & "Co"!')

  await fill(await unfold(page, 'Email'), { 'New email': email('lovelace'), 'Current password': 'a wrong promise' })
  await press(page, button(page, 'Change email'))
  await page.getByText('The current password is wrong').waitFor()
  await fill(await unfold(page, 'Email'), { 'New email': email('lovelace'), 'Current password': PASSWORD })
  await press(page, button(page, 'Change email'))
  await page.getByText(`Signed in as ${email('lovelace')}`).waitFor()

  const part = await unfold(page, 'Password')
  await fill(part, { 'Current password': PASSWORD, 'New password': NEW_PASSWORD })
  await press(page, button(page, 'Change password'))
  assert.equal(path(page), '/dashboard')
  await other.reload()
  assert.equal(path(other), '/login')
  await signIn(other, 'lovelace')
  await other.getByText('Invalid email or password').waitFor()
  await signIn(other, 'lovelace', NEW_PASSWORD)
  assert.equal(path(other), '/dashboard')
})

storyWithAndWithoutScripts('a forgotten password, and a link that works once on any device', ['--dev'], async ({ server, visit }) => {
  const laptop = await visit({ userAgent: FIREFOX })
  const phone = await visit({ userAgent: IPHONE })
  await register(laptop, 'Ada')
  await phone.goto('/login')
  await press(phone, phone.getByRole('link', { name: 'Forgot your password?' }))
  assert.equal(path(phone), '/password/reset')

  const link = new URL(/http\S+/.exec(server.run(['user', 'reset-link', email('ada')]))[0])
  const here = link.pathname + link.search
  await phone.goto(here)
  await fill(phone, { 'New password': NEW_PASSWORD })
  await press(phone, button(phone, 'Set password'))
  assert.equal(path(phone), '/login')
  await signIn(phone, 'ada', NEW_PASSWORD)
  assert.equal(await heading(phone), 'Welcome Ada!')

  await laptop.reload()
  assert.equal(path(laptop), '/login')
  await laptop.goto(here)
  await laptop.getByText('This link is unknown, used or too old').waitFor()
})

storyWithAndWithoutScripts('the end of an account', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  await fill(await unfold(page, 'Delete account'), { 'Current password': PASSWORD })
  await press(page, button(page, 'Delete my account'))
  await page.goto('/dashboard')
  assert.equal(path(page), '/login')
  await signIn(page, 'ada')
  await page.getByText('Invalid email or password').waitFor()
})

story('nothing private comes back by the back button', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  await press(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }))
  const loaded = page.waitForEvent('load')
  await page.goBack()
  await loaded
  assert.equal(path(page), '/login')
  assert.equal(await page.getByText('Ada').count(), 0)
})
