// What an admin does with the accounts of others, in a browser.

import assert from 'node:assert/strict'
import {
  FIREFOX, PASSWORD, button, confirm, email, fill, heading, path, press, signIn, story, storyWithAndWithoutScripts,
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

  await press(admin, button(await unfold(admin, 'reset link'), 'Make a reset link'))
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
  await press(admin, button(devices, 'Sign out everywhere'))
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

story('whoever is no admin sees nothing of it', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await visit()
  await signIn(page, 'ada', PASSWORD)
  assert.equal(await page.getByRole('link', { name: 'Users', exact: true }).count(), 0)
  const response = await page.goto('/admin/users')
  assert.equal(response.status(), 403)
})
