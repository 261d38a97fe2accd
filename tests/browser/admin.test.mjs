// What an admin does with the accounts of others, in a browser.

import assert from 'node:assert/strict'
import {
  FIREFOX, IPHONE, PASSWORD, button, confirm, email, fill, heading, path, press, signIn, story, storyWithAndWithoutScripts,
  unfold,
} from './support.mjs'

const OWN = 'a password of my own choice'

storyWithAndWithoutScripts('a user is made, signs in by a link, is disabled, enabled, deleted', ['--dev'], async ({ server, visit }) => {
  server.user('Root', 'admin')
  const [admin, user] = [await visit(), await visit({ userAgent: FIREFOX })]
  await signIn(admin, 'root')
  await press(admin, admin.getByRole('link', { name: 'Users', exact: true }))
  assert.equal(path(admin), '/admin/users')

  const form = admin.getByRole('region', { name: 'New user' })
  await fill(form, { Name: 'Root 2', Email: email('root') })
  await press(admin, button(form, 'Create user'))
  await admin.getByText('already registered').first().waitFor()
  await fill(form, { Name: 'Grace', Email: email('grace') })
  await press(admin, button(form, 'Create user'))
  if (path(admin) === '/admin/users') await press(admin, admin.getByRole('link', { name: 'Grace' }))
  assert.equal(await heading(admin), 'Grace')

  await press(admin, button(admin, 'Make a link for Grace'))
  await confirm(admin)
  const link = new URL(await admin.getByLabel('The link').inputValue())
  await user.goto(link.pathname + link.search)
  await fill(user, { 'New password': OWN })
  await press(user, button(user, 'Set password'))
  await signIn(user, 'grace', OWN)
  assert.equal(await heading(user), 'Welcome Grace!')

  await admin.reload()
  const devices = admin.getByRole('region', { name: 'Devices' })
  await devices.getByText('Firefox on Linux').waitFor()
  await press(admin, devices.getByRole('button', { name: 'Sign out everywhere' }))
  await devices.getByText('Signed in nowhere').waitFor()
  await user.reload()
  assert.equal(path(user), '/login')
  await signIn(user, 'grace', OWN)
  assert.equal(path(user), '/dashboard')

  await press(admin, button(await unfold(admin, 'Sign-in'), 'Disable account'))
  await user.reload()
  assert.equal(path(user), '/login')
  await signIn(user, 'grace', OWN)
  await user.getByText('This account is disabled').waitFor()
  await press(admin, button(await unfold(admin, 'Sign-in'), 'Enable account'))
  await signIn(user, 'grace', OWN)
  assert.equal(path(user), '/dashboard')

  await (await unfold(admin, 'Role')).getByLabel('Role', { exact: true }).selectOption('admin')
  await press(admin, button(admin, 'Change role'))
  await user.goto('/admin/users')
  assert.equal(await heading(user), 'Users')

  await press(admin, button(await unfold(admin, 'Delete user'), 'Delete Grace'))
  assert.equal(path(admin), '/admin/users')
  assert.equal(await admin.getByText(email('grace')).count(), 0)
  await user.goto('/dashboard')
  assert.equal(path(user), '/login')
})

storyWithAndWithoutScripts('users are found by name and role', ['--dev'], async ({ server, visit }) => {
  for (const name of ['Ada', 'Grace', 'Adele']) server.user(name)
  server.user('Root', 'admin')
  const page = await visit()
  await signIn(page, 'root')
  await page.goto('/admin/users?limit=2')
  const names = () => page.getByRole('main').getByRole('listitem').getByRole('link').allInnerTexts()
  const first = await names()
  await press(page, page.getByRole('link', { name: 'Next page' }))
  assert.deepEqual([...first, ...(await names())].sort(), ['Ada', 'Adele', 'Grace', 'Root'])
  const search = page.getByRole('search')
  await fill(search, { 'Name or email': 'ad' })
  await press(page, button(search, 'Search'))
  assert.deepEqual((await names()).sort(), ['Ada', 'Adele'])
  await search.getByLabel('Role', { exact: true }).selectOption('admin')
  await press(page, button(search, 'Search'))
  assert.deepEqual(await names(), [])
})

storyWithAndWithoutScripts('an admin is asked for the password once, and nothing typed is lost', ['--dev'], async ({ server, visit }) => {
  server.user('Root', 'admin')
  const page = await visit()
  await signIn(page, 'root')
  await page.goto('/admin/users')
  const form = page.getByRole('region', { name: 'New user' })
  await fill(form, { Name: 'Grace "Amazing" <Hopper>', Email: email('grace'), 'Password (optional)': OWN })
  await form.getByLabel('Role', { exact: true }).selectOption('admin')
  await press(page, button(form, 'Create user'))
  assert.equal(await heading(page), 'Confirm it’s you')
  await fill(page, { 'Your password': 'a wrong promise' })
  await press(page, button(page, 'Go on'))
  await page.getByRole('alert').getByText('password').waitFor()
  await fill(page, { 'Your password': PASSWORD })
  await press(page, button(page, 'Go on'))
  assert.equal(await heading(page), 'Grace "Amazing" <Hopper>')
  const other = await visit()
  await signIn(other, 'grace', OWN)
  await other.goto('/admin/users')
  assert.equal(await heading(other), 'Users')
  // Not again for ten minutes.
  await press(page, button(await unfold(page, 'Delete user'), 'Delete Grace "Amazing" <Hopper>'))
  assert.equal(path(page), '/admin/users')
})

storyWithAndWithoutScripts('invitations and clients are made and taken back', ['--dev', '--set', 'registration=invite'], async ({ server, visit }) => {
  server.user('Root', 'admin')
  const [admin, guest] = [await visit(), await visit()]
  await signIn(admin, 'root')
  await press(admin, admin.getByRole('link', { name: 'Users', exact: true }))
  await press(admin, admin.getByRole('link', { name: 'Invitations' }))
  await admin.getByText('There are none').waitFor()
  await fill(admin, { 'Email (optional)': email('grace') })
  await press(admin, button(admin, 'Make an invitation'))
  const link = new URL(await admin.getByLabel('The link').inputValue())
  await press(admin, button(admin, 'Make an invitation'))
  const second = new URL(await admin.getByLabel('The link').inputValue())
  await press(admin, admin.getByRole('button', { name: 'Withdraw the invitation for anybody' }))
  await admin.getByText('The invitation is withdrawn').waitFor()
  await guest.goto(second.pathname + second.search)
  assert.equal(await heading(guest), 'That didn’t work')
  await guest.goto(link.pathname + link.search)
  await fill(guest, { Name: 'Grace', Email: email('grace'), Password: OWN })
  await press(guest, button(guest, 'Create account'))
  assert.equal(path(guest), '/dashboard')

  await press(admin, admin.getByRole('link', { name: 'Clients' }))
  await fill(admin, { Name: 'the shop' })
  await press(admin, button(admin, 'Register a client'))
  await confirm(admin)
  const id = await admin.getByLabel('Client id').inputValue()
  const secret = await admin.getByLabel('Client secret').inputValue()
  const asked = () => fetch(`${server.url}/introspect`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ token: 'x' }),
  })
  assert.equal((await asked()).status, 200)
  await press(admin, admin.getByRole('button', { name: 'Delete the shop' }))
  await admin.getByText('The client is deleted').waitFor()
  assert.equal((await asked()).status, 401)
})

storyWithAndWithoutScripts('sessions of everybody are listed and ended, and the log says so', ['--dev'], async ({ server, visit }) => {
  server.user('Root', 'admin')
  server.user('Ada')
  const [admin, phone, desk] = [await visit(), await visit({ userAgent: IPHONE }), await visit({ userAgent: FIREFOX })]
  await signIn(phone, 'ada')
  await signIn(desk, 'ada')
  await signIn(admin, 'root')
  await admin.goto('/admin/sessions?limit=2')
  await admin.getByText('This device').waitFor()
  await press(admin, admin.getByRole('link', { name: 'Next page' }))
  await admin.getByRole('button', { name: /^Sign out Ada on Safari on iPhone/ }).waitFor()
  await admin.goto('/admin/sessions')
  await press(admin, admin.getByRole('button', { name: /^Sign out Ada on Safari on iPhone/ }))
  await admin.getByText('signed out there').waitFor()
  await phone.reload()
  assert.equal(path(phone), '/login')
  await desk.reload()
  assert.equal(path(desk), '/dashboard')

  await press(admin, admin.getByRole('link', { name: 'Audit log' }))
  const entries = await admin.getByRole('main').getByRole('listitem').allInnerTexts()
  assert.match(entries[0].replaceAll('\n', ' '), /^Sessions ended.*Ada.*by Root/)
  await admin.goto('/admin/audit?limit=2')
  await press(admin, admin.getByRole('link', { name: 'Next page' }))
  await press(admin, admin.getByRole('link', { name: 'The latest entries' }))
})

story('whoever is no admin sees nothing of it', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit()
  await signIn(page, 'ada', PASSWORD)
  assert.equal(await page.getByRole('link', { name: 'Users', exact: true }).count(), 0)
  const response = await page.goto('/admin/users')
  assert.equal(response.status(), 403)
})
