// Every page, in the states that people see it in.

import { FIREFOX, IPHONE, PASSWORD, button, confirm, email, fill, path, press, register, signIn, unfold } from './support.mjs'

// Walks through them, and calls `see` at each with a name and the page.
export async function tour({ server, visit, see, ...options }) {
  const page = await visit({ userAgent: FIREFOX, ...options })
  const look = async (name, to) => {
    if (to) await page.goto(to)
    await see(name, page)
  }
  await look('login', '/login')
  await fill(page, { Email: email('ada'), Password: 'a wrong promise' })
  await press(page, button(page, 'Sign in'))
  await look('login-refused')
  await look('register', '/register')
  await fill(page, { Name: 'Ada', Email: email('ada'), Password: 'password1' })
  await press(page, button(page, 'Create account'))
  await look('register-refused')
  await look('forgotten', '/password/reset')
  await look('not-found', '/nothing')
  await look('docs', '/docs')
  await page.goto('/flow')
  // Only development mode opens it without a sign-in.
  if (path(page) === '/flow') {
    await page.locator('#state', { hasText: 'Live' }).waitFor()
    await look('flow')
  }
  await look('reset-dead', '/password/reset?token=x')
  await look('invitation-dead', '/register?invite=x')
  // Over plain http no browser says that it comes from elsewhere.
  if (await page.evaluate(() => isSecureContext)) await arrival({ server, page, look })

  await register(page, 'Ada Lovelace')
  await look('dashboard-alone')
  const phone = await visit({ userAgent: IPHONE, ...options })
  await signIn(phone, 'Ada Lovelace')
  const program = { 'content-type': 'application/json', 'user-agent': 'curl/8.14.1' }
  const body = JSON.stringify({ email: email('Ada Lovelace'), password: PASSWORD })
  await fetch(`${server.address}/login`, { method: 'POST', headers: program, body })
  await look('dashboard', '/dashboard')
  for (const part of ['Name', 'Email', 'Password', 'Delete account']) await unfold(page, part)
  await look('dashboard-unfolded')
  const form = await unfold(page, 'Password')
  await fill(form, { 'Current password': 'a wrong promise', 'New password': 'another door, another promise' })
  await press(page, button(page, 'Change password'))
  await look('dashboard-refused')
  await look('logout', '/logout')
  await look('forbidden', '/admin/users')

  const link = new URL(/http\S+/.exec(server.run(['user', 'reset-link', email('Ada Lovelace')]))[0])
  await look('reset', link.pathname + link.search)
  await administration({ server, page, look })
}

async function administration({ server, page, look }) {
  server.user('Grace Hopper')
  server.user('Mallory')
  server.user('Root', 'admin')
  server.run(['user', 'disable', email('Mallory')])
  await page.context().clearCookies()
  await signIn(page, 'Root')
  await look('dashboard-admin')
  await look('users', '/admin/users')
  const form = page.getByRole('region', { name: 'New user' })
  await fill(form, { Name: 'Grace', Email: email('Grace Hopper') })
  await press(page, button(form, 'Create user'))
  await look('users-refused')
  await look('users-none', '/admin/users?search=nobody')
  await page.goto('/admin/users')
  await press(page, page.getByRole('link', { name: 'Ada Lovelace' }))
  await look('user')
  for (const part of ['Name', 'Email', 'Role', 'reset link', 'Sign-in', 'Delete user']) await unfold(page, part)
  await look('user-unfolded')
  await press(page, button(page, 'Make a reset link'))
  await look('confirm')
  await fill(page, { 'Your password': 'a wrong promise' })
  await press(page, button(page, 'Go on'))
  await look('confirm-refused')
  await confirm(page)
  await look('user-link')
  await page.goto('/admin/users')
  await fill(form, { Name: 'Margaret Hamilton', Email: email('Margaret Hamilton') })
  await press(page, button(form, 'Create user'))
  await look('user-created')
  await look('invitations-none', '/admin/invitations')
  await fill(page, { 'Email (optional)': email('Katherine Johnson') })
  await press(page, button(page, 'Make an invitation'))
  await look('invitations')
  await look('clients-none', '/admin/clients')
  await fill(page, { Name: 'the shop' })
  await press(page, button(page, 'Register a client'))
  await look('clients')
  await look('sessions', '/admin/sessions')
  await look('audit', '/admin/audit')
}

// The page for arrivals from other sites, stopped before it goes on.
async function arrival({ server, page, look }) {
  await page.route('**/dashboard', async (route) => {
    const headers = { ...route.request().headers(), 'sec-fetch-site': 'cross-site' }
    const response = await route.fetch({ url: `${server.address}/dashboard`, headers, maxRedirects: 0 })
    const { refresh, ...kept } = response.headers()
    await route.fulfill({ response, headers: kept })
  })
  await look('arrival', '/dashboard')
  await page.unroute('**/dashboard')
}
