// The page of requests: it draws them as they happen, and says what each step was.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { button, email, PASSWORD, register, signIn, story } from './support.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const title = (page) => page.locator('#chosen-title')
const rows = (page) => page.locator('#list a')
const step = (page, name) => page.locator('.arrow').filter({ hasText: name })
const live = (page) => page.locator('#state').filter({ hasText: 'Live' }).waitFor()

async function watch(visit, options) {
  const page = await visit({ viewport: { width: 1280, height: 900 }, ...options })
  await page.goto('/flow')
  await live(page)
  return page
}

async function isAccessible(page) {
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => axe.run(document))
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), [])
}

const chooses = (page, route) => title(page).filter({ hasText: route }).waitFor()

story('a sign-in in another tab draws itself while one looks', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await watch(visit)
  const ada = await visit()
  await ada.goto('/login')
  await chooses(page, 'GET /login')
  const began = Date.now()
  await signIn(ada, 'Ada')
  await chooses(page, 'POST /login')
  assert.ok(Date.now() - began < 5_000)
  const labels = await page.locator('.arrow .text').allInnerTexts()
  for (const label of ['Login', 'Compare the password', 'A session begins', 'Commit', 'Set-Cookie: sessionId']) {
    assert.ok(labels.includes(label), `${label} in ${labels}`)
  }
  await page.locator('#story').filter({ hasText: 'signed in by password' }).waitFor()
  assert.match(await page.locator('.time').innerText(), /Where the .* went[^]*hash/)
})

story('an arrow opens what it carries: the cookie, the hash, the token', ['--dev'], async ({ server, visit }) => {
  const page = await watch(visit)
  const ada = await visit()
  await register(ada, 'Ada')
  await chooses(page, 'POST /register')
  await page.getByLabel('Draw the newest').uncheck()
  await step(page, 'Set-Cookie: sessionId').click()
  const cookie = await page.locator('.payload:visible').innerText()
  assert.match(cookie, /^The browser keeps the cookie/)
  assert.match(cookie, /Set-Cookie: sessionId=…; Path=\/; HttpOnly; SameSite=/)
  assert.match(cookie, /HttpOnly\s+yes No script on the page can read it\./)
  await step(page, 'Set-Cookie: sessionId').click()
  await step(page, 'Hash the password').click()
  assert.match(await page.locator('.payload:visible').innerText(), /algorithm\s+bcrypt.*\s+cost\s+.*10/)
  const answer = await fetch(`${server.url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: email('Ada'), password: PASSWORD, mode: 'bearer' }),
  })
  const { token } = await answer.json()
  await fetch(`${server.url}/profile`, { headers: { authorization: `Bearer ${token}` } })
  await rows(page).filter({ hasText: 'GET /profile' }).click()
  await chooses(page, 'GET /profile')
  await step(page, 'Not expired').click()
  const parts = page.locator('.token .part')
  assert.deepEqual(await parts.locator('.part-name').allInnerTexts(), ['Header', 'Claims', 'Signature'])
  const colours = await parts.evaluateAll((all) => all.map((part) => getComputedStyle(part).color))
  assert.equal(new Set(colours).size, 3)
  assert.match(await page.locator('.payload:visible').innerText(), /Issued .* ago, expires in 15 min/)
  const all = await page.content()
  assert.ok(!all.includes(token.split('.')[2]) && !all.includes(token.split('.')[1]), 'the token is not in the page')
})

story('requests are filtered, paused, linked and grouped by why they were refused', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await watch(visit)
  const ask = (path, headers) => fetch(server.url + path, { headers })
  for (let n = 0; n < 3; n++) await ask('/profile', { authorization: 'Bearer a.b.c' })
  const refused = await ask('/profile')
  await ask('/healthz')
  await rows(page).nth(4).waitFor()
  await page.locator('#refused').filter({ hasText: '× 4' }).waitFor()
  await page.locator('#refused summary').click()
  assert.match(await page.locator('#refusals').innerText(), /Not a token of ours[^]*token_invalid[^]*× 3 since \d\d:\d\d/)
  // By the group.
  await page.locator('#refusals').getByRole('button', { name: 'Not a token of ours' }).click()
  await page.waitForFunction(() => document.querySelectorAll('#list a').length === 3)
  await button(page, 'Show all').click()
  await rows(page).nth(4).waitFor()
  // By the id on a screenshot.
  await page.getByLabel('Request id').fill(refused.headers.get('x-request-id'))
  await button(page, 'Show these').click()
  await page.waitForFunction(() => document.querySelectorAll('#list a').length === 1)
  assert.match(await rows(page).innerText(), /GET \/profile[^]*token_missing/)
  await button(page, 'Show all').click()
  // By an address that was typed.
  await fetch(`${server.url}/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: 'eve@example.org', password: 'x' }) })
  await page.getByLabel('User').fill('EVE@example.org')
  await button(page, 'Show these').click()
  await rows(page).filter({ hasText: 'POST /login' }).waitFor()
  assert.equal(await rows(page).count(), 1)
  await button(page, 'Show all').click()
  await rows(page).nth(5).waitFor()
  // Paused, nothing moves; then what came is there.
  await button(page, 'Pause').click()
  await page.locator('#state').filter({ hasText: 'Paused' }).waitFor()
  const before = await rows(page).count()
  await ask('/readyz')
  await ask('/login')
  assert.equal(await rows(page).count(), before)
  await button(page, 'Go on').click()
  await rows(page).filter({ hasText: '/readyz' }).waitFor()
  // A link to one.
  const link = await rows(page).filter({ hasText: 'token_missing' }).first().getAttribute('href')
  const other = await visit()
  await other.goto(link)
  await chooses(other, 'GET /profile')
  await other.goto('/flow/0123')
  await other.getByRole('heading', { name: 'No such request' }).waitFor()
})

story('a request can be saved and repeated', ['--dev'], async ({ server, visit }) => {
  const page = await watch(visit, { permissions: ['clipboard-read', 'clipboard-write'] })
  await fetch(`${server.url}/profile`, { headers: { authorization: 'Bearer a.b.c' } })
  await chooses(page, 'GET /profile')
  const saved = async (name) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('.exports').getByText(name, { exact: true }).click()])
    const chunks = []
    for await (const chunk of await download.createReadStream()) chunks.push(chunk)
    return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) }
  }
  assert.match((await saved('SVG')).bytes.toString(), /^<svg|^<\?xml/)
  assert.match((await saved('text')).bytes.toString(), /Not a token of ours/)
  assert.match((await saved('Mermaid')).bytes.toString(), /^sequenceDiagram/m)
  const file = await saved('file for support')
  assert.match(file.name, /\.flow\.json$/)
  assert.equal(JSON.parse(file.bytes).doorward_flow, 1)
  const png = await saved('PNG')
  assert.deepEqual([...png.bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47])
  assert.ok(png.bytes.length > 5_000)
  for (const [name, text] of [['curl', /^curl "http:.*\/profile" \\\n  --header "Authorization: Bearer \$TOKEN"$/], ['fetch', /^await fetch\("http:/], ['axios', /^await axios\(\{/]]) {
    await button(page, `Copy as ${name}`).click()
    await page.getByText(`Copied as ${name}.`).waitFor()
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), text)
  }
})

story('the story of a session goes from its sign-in to its end', ['--dev'], async ({ server, visit }) => {
  server.user('Ada')
  const page = await watch(visit)
  const send = async (path, body, headers) =>
    (await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })).json()
  let { token, refresh_token } = await send('/login', { email: email('Ada'), password: PASSWORD, mode: 'bearer' })
  for (let n = 0; n < 3; n++) ({ token, refresh_token } = await send('/refresh', { refresh_token }))
  await send('/logout', {}, { authorization: `Bearer ${token}` })
  await chooses(page, 'POST /logout')
  await page.locator('#story').filter({ hasText: 'signed out' }).waitFor()
  assert.match((await page.locator('.story-line').innerText()).replaceAll(/\s+/g, ' '), /signed in by password .* 3 refreshes .* signed out/)
  assert.equal(await page.locator('.chain li').count(), 3)
  await page.locator('.chain a').first().click()
  await chooses(page, 'POST /refresh')
  await page.getByRole('button', { name: 'Only requests of this session' }).click()
  await page.waitForFunction(() => document.querySelectorAll('#list a').length === 5)
})

story('the page is used with the keyboard alone', ['--dev'], async ({ visit }) => {
  const page = await watch(visit)
  await register(await visit(), 'Ada')
  await chooses(page, 'POST /register')
  await page.getByLabel('Draw the newest').uncheck()
  await rows(page).first().focus()
  await page.keyboard.press('ArrowDown')
  const second = await rows(page).nth(1).getAttribute('data-id')
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), second)
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/flow/${second}`)
  // One stop for the diagram; arrows go on from there, and Enter opens.
  const first = page.locator('.arrow').first()
  await first.focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('End')
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowDown')
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('.arrow')].indexOf(document.activeElement)), 1)
  assert.equal(await page.locator('.arrow[tabindex="0"]').count(), 1)
  await page.keyboard.press('Enter')
  assert.equal(await page.locator('.payload:visible').count(), 1)
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
  assert.equal(outline, 'solid')
  await page.keyboard.press('Escape')
  assert.equal(await page.locator('.payload:visible').count(), 0)
})

for (const [width, colorScheme] of [[1280, 'light'], [1280, 'dark'], [360, 'light'], [360, 'dark']]) {
  story(`axe finds nothing on a page with a diagram, ${width} wide, ${colorScheme}`, ['--dev'], async ({ server, visit }) => {
    const page = await watch(visit, { viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' })
    await isAccessible(page)
    await fetch(`${server.url}/profile`, { headers: { authorization: 'Bearer a.b.c' } })
    await register(await visit(), 'Ada')
    await chooses(page, 'POST /register')
    await page.locator('#story').filter({ hasText: 'signed in' }).waitFor()
    await page.locator('#refused summary').click()
    await page.locator('#filters summary').click()
    for (const name of ['Set-Cookie: sessionId', 'Hash the password']) await step(page, name).click()
    await button(page, 'Copy as curl').click()
    await isAccessible(page)
    const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)
    assert.ok(fits, 'nothing scrolls sideways')
    // Narrow, each step of the list names its lanes.
    assert.equal(await page.locator('.heads').isVisible(), width > 640)
    assert.equal(await page.locator('.arrow .path .chip').first().isVisible() && (await page.locator('.arrow .path').first().boundingBox()).width > 50, width < 640)
  })
}

story('an admin looks outside of development mode until the session ends, and nobody else does', [], async ({ server, visit }) => {
  server.user('Root', 'admin')
  server.user('Ada')
  const root = await visit()
  await signIn(root, 'Root')
  await root.goto('/admin/users')
  await root.getByRole('link', { name: 'Requests' }).click()
  await live(root)
  const ada = await visit()
  await signIn(ada, 'Ada')
  await rows(root).filter({ hasText: 'POST /login' }).waitFor()
  const refused = await ada.goto('/flow')
  assert.equal(refused.status(), 403)
})

story('what a visitor sends is text on the page', ['--dev'], async ({ server, visit }) => {
  const page = await watch(visit)
  const markup = '<img src=x onerror=alert(1)>'
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const authorization = `Bearer ${part({ alg: markup, kid: '\u202ea' })}.${part({})}.AA`
  await fetch(`${server.url}/profile`, { headers: { authorization, 'user-agent': markup, referer: markup } })
  await chooses(page, 'GET /profile')
  await step(page, 'Key or algorithm is wrong').click()
  const said = await page.locator('.payload:visible').innerText()
  assert.ok(said.includes(markup.slice(0, 20)) && said.includes('\\u{202e}a'), said)
  assert.equal(await page.locator('#diagram img').count(), 0)
})

test('a flow from a file is read within bounds, and its texts stay texts', async () => {
  const source = readFileSync(new URL('../../crates/doorward/src/features/flow/read.js', import.meta.url), 'utf8')
  const { read } = await import(`data:text/javascript,${encodeURIComponent(source)}`)
  const words = { lanes: ['Client', 'Doorward'], labels: ['found in'], verbs: [{ name: 'Call', from: 0, to: 1, label: 'Request', failed: 'Request' }] }
  const step = { verb: 0, verdict: 'done', at_us: 0 }
  const flow = { id: 'a', at: 0, sender: 'program', method: 'GET', route: '/', status: 200, code: null, total_us: 1, story: {}, steps: [step], cut: 0 }
  const text = (given) => read({ ...flow, steps: [{ ...step, facts: [{ type: 'seen', label: 0, text: given }] }] }, words).steps[0].facts[0].text
  assert.equal(read({ doorward_flow: 1, flow }, words).steps[0].verb, words.verbs[0])
  assert.equal(text('<b>\n\u202e'), '<b>\\u{a}\\u{202e}')
  assert.ok(text('x'.repeat(1_000_000)).length < 300)
  const steps = (more) => ({ ...flow, steps: [{ ...step, ...more }] })
  for (const [bad, why] of [
    [null, /no flow/], [[], /no flow/], ['x', /no flow/], [{}, /no steps/], [{ ...flow, steps: Array(65).fill(step) }, /at most 64/],
    [{ doorward_flow: 2, flow }, /another version/], [{ doorward_flow: 1 }, /no flow/],
    ...[-1, 1, 0.5, '0', null, '__proto__'].map((verb) => [steps({ verb }), /Step 1 has no such verb/]),
    [steps({ verdict: 'constructor' }), /no such verdict/], [steps({ at_us: '1' }), /lacks a number/], [steps({ took_us: 1e300 }), /lacks a number/],
    [steps({ facts: Array(13).fill({ type: 'seen', label: 0, text: '' }) }), /more than 12 facts/],
    [steps({ facts: [{ type: 'toString' }] }), /no known type/], [steps({ facts: [{ type: 'seen', label: 7, text: '' }] }), /no such label/],
    [steps({ facts: [{ type: 'seen', label: 0, text: {} }] }), /lacks a text/], [{ ...flow, story: 1 }, /story/], [{ ...flow, id: 1 }, /lacks a text/],
  ]) {
    assert.throws(() => read(bad, words), why)
  }
})
