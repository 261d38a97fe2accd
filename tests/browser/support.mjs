// A separate server, and visitors each with a browser context of their own.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { openBrowser } from './chromium.mjs'

const PROGRAM = resolve(process.env.DOORWARD ?? 'target/debug/doorward')

export const PASSWORD = 'a door is a promise'
export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
export const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) ' +
  'Version/18.5 Mobile/15E148 Safari/604.1'

let browser, closing
export const close = () => browser?.close()

// A test with a server. Console errors of a page, and failed loads, fail it at the end.
export function story(name, flags, body) {
  closing ??= after(close) ?? true
  test(name, { timeout: 240_000 }, () => tell(flags, body))
}

// The same story twice.
export function storyWithAndWithoutScripts(name, flags, body) {
  for (const scripts of [true, false]) {
    story(`${name} (${scripts ? 'with' : 'without'} JavaScript)`, flags, ({ server, visit }) =>
      body({ server, visit: (options) => visit({ javaScriptEnabled: scripts, ...options }) }),
    )
  }
}

export async function tell(flags, body, { isStrict = true } = {}) {
  const server = await serve(flags)
  const contexts = []
  const complaints = []
  const visit = async (options = {}) => {
    browser ??= await openBrowser()
    const context = await browser.newContext({ baseURL: server.url, ...options })
    contexts.push(context)
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    if (isStrict) listen(page, complaints)
    return page
  }
  try {
    await body({ server, visit })
    assert.deepEqual(complaints, [])
  } finally {
    await Promise.all(contexts.map((context) => context.close()))
    await server.stop()
  }
}

function listen(page, complaints) {
  const refused = new Set()
  page.on('response', (response) => {
    if (response.status() < 400) return
    if (response.request().isNavigationRequest()) refused.add(response.url())
    else complaints.push(`${response.status()} ${response.url()}`)
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // The browser also reports a page with an error's status; that page was intended.
    const meant = message.text().startsWith('Failed to load resource') && refused.has(message.location().url)
    if (['error', 'warning'].includes(message.type()) && !meant) complaints.push(message.text())
  })
}

// Flags may be a function of the server's future port.
async function serve(flags) {
  const port = typeof flags === 'function' ? await freePort() : 0
  if (port) flags = flags(port)
  const data = mkdtempSync(join(tmpdir(), 'doorward-browser-'))
  const at = ['--data', data]
  const env = { PATH: process.env.PATH, NO_COLOR: '1' }
  let running = await start(flags, { at, env, port })
  const stop = async () => {
    await running.stop()
    rmSync(data, { recursive: true })
  }
  // The same data, the same port, and one more setting.
  const restart = async (setting) => {
    await running.stop()
    running = await start([...flags, '--set', setting], { at, env, port })
  }
  // By name: the address is another site, which the stories about other sites use, and so do clients that are not
  // browsers.
  const { address } = running
  const said = flags.find((flag) => flag.startsWith('public_url='))
  const url = said ? said.replace('public_url=', '') : address.replace('127.0.0.1', 'localhost')
  const command = (args) => [PROGRAM, [...args, ...at], { env }]
  const run = (args, input = '') => execFileSync(PROGRAM, [...args, ...at], { env, input, encoding: 'utf8' })
  const user = (name, role = 'user') =>
    run(['user', 'create', '--name', name, '--email', email(name), '--role', role, '--password-stdin'], PASSWORD)
  return { url, address, command, run, user, stop, restart }
}

async function start(flags, { at, env, port }) {
  const child = spawn(PROGRAM, ['serve', ...at, '--listen', `127.0.0.1:${port}`, '--log-level', 'warn', ...flags], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const stop = () => (child.kill(), ended)
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /https?:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (address) return { address, stop }
  }
  await ended
  throw new Error('the server said no address')
}

export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

export const email = (name) => `${name.toLowerCase().replaceAll(' ', '.')}@example.org`

// Presses it, and waits for the page that comes.
export async function press(page, button) {
  const loaded = page.waitForEvent('load')
  await button.click()
  await loaded
}

export const button = (page, name) => page.getByRole('button', { name, exact: true })
export const heading = (page) => page.getByRole('heading', { level: 1 }).innerText()
export const path = (page) => new URL(page.url()).pathname

export async function fill(form, fields) {
  for (const [label, value] of Object.entries(fields)) await form.getByLabel(label, { exact: true }).fill(value)
}

export async function register(page, name) {
  await page.goto('/register')
  await fill(page, { Name: name, Email: email(name), Password: PASSWORD })
  await press(page, button(page, 'Create account'))
  assert.equal(path(page), '/dashboard')
}

export async function signIn(page, name, password = PASSWORD) {
  if (path(page) !== '/login') await page.goto('/login')
  await fill(page, { Email: email(name), Password: password })
  await press(page, button(page, 'Sign in'))
}

// Enters the password if an admin's act asks for it.
export async function confirm(page, password = PASSWORD) {
  assert.equal(await heading(page), 'Confirm it’s you')
  await fill(page, { 'Your password': password })
  await press(page, button(page, 'Go on'))
}

// A part of the dashboard that is folded until it is needed.
export async function unfold(page, summary) {
  const part = page.locator('details').filter({ has: page.locator('summary', { hasText: summary }) })
  if (!(await part.getByRole('button').last().isVisible())) await part.locator('summary').click()
  return part
}
