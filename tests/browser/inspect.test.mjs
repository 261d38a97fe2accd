// The inspector: each thing that can be pasted is called by its name, and nothing but an access token leaves the browser.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { button, email, heading, PASSWORD, story } from './support.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const KINDS = JSON.parse(readFileSync('crates/doorward-core/src/token/tests/kinds.json', 'utf8'))
const STRINGS = JSON.parse(readFileSync('crates/doorward/tests/data/blns.json', 'utf8')).strings
const SECRET = 'canarycanarycanarycanarycanarycanarycanaryA'

const encode = (text) => Buffer.from(text).toString('base64url')
const jwt = (header, payload) => `${encode(JSON.stringify(header))}.${encode(JSON.stringify(payload))}.c2ln`

// What the browser sends from now on: everything that a token could leave it by.
function listen(page) {
  const sent = []
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url())
    if (pathname === '/favicon.svg') return
    sent.push({ method: request.method(), path: pathname + (pathname.startsWith('/assets/') ? '' : search), body: request.postData() })
  })
  page.on('websocket', (socket) => sent.push({ method: 'websocket', path: socket.url() }))
  return sent
}

async function paste(page, text) {
  await page.locator('#text').fill(text)
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)))
}

async function signIn(server) {
  const body = JSON.stringify({ name: 'Ada', email: email('ada'), password: PASSWORD })
  const headers = { 'content-type': 'application/json' }
  await fetch(`${server.address}/register`, { method: 'POST', headers, body })
  return (await fetch(`${server.address}/login`, { method: 'POST', headers, body })).json()
}

// What the command line says of a token.
function explained(server, token) {
  const [program, args, options] = server.command(['token', 'explain', '--json', token])
  return JSON.parse(spawnSync(program, args, { ...options, encoding: 'utf8' }).stdout)
}

const shown = (page, selector) => page.locator(`#result ${selector}`)

story('each text is called by its kind, and none of them is sent', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  await page.goto('/inspect')
  const [sent, seen] = [listen(page), new Set()]
  for (const [text, kind] of KINDS.filter(([text]) => !text.includes('doorward_flow'))) {
    await paste(page, text)
    const named = await page.locator('#result [data-kind]').evaluateAll((all) => all.map((one) => one.dataset.kind))
    assert.equal(named[0] ?? null, kind, text)
    const inner = { authorization_header: text.includes('e30'), cookie: text.includes('token=eyJ') }[kind]
    const isToken = kind === null && /^eyJ.*\..*\./.test(text)
    if (kind && !seen.has(kind)) {
      assert.equal(await shown(page, `[data-kind=${kind}]`).innerText(), explained(server, text).looks_like, text)
      seen.add(kind)
    }
    if (inner || isToken) continue
    await button(page, 'Check with this server').click()
    if (text.trim()) assert.match(await page.locator('#result').innerText(), /Nothing was sent/, text)
  }
  assert.deepEqual(sent, [])
})

story('secrets stay in the browser, wherever they stand', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  await page.goto('/inspect')
  const sent = listen(page)
  const { refresh_token } = await signIn(server)
  for (const text of [
    SECRET,
    refresh_token,
    ` "${refresh_token}" `,
    `sessionId=${SECRET}`,
    `Cookie: __Host-sessionId=${SECRET}; a=b`,
    `Authorization: Basic ${SECRET}`,
    `${SECRET}.${SECRET}.${SECRET}`,
    `https://a.example/password/reset?token=${SECRET}`,
    `https://a.example/register?invite=${SECRET}`,
    `01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8:${SECRET}`,
    JSON.stringify({ token: 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln', refresh_token }),
    `${refresh_token}.${refresh_token}`,
    jwt({ alg: 'ES256', typ: 'doorward-identity+jwt' }, { sub: SECRET }),
    jwt({ alg: 'none' }, { sub: SECRET }),
    `x.${SECRET}.y`,
    `${encode('[1]')}.e30.c2ln`,
    `${encode('{}')}.${SECRET}`,
    `${jwt({ alg: 'ES256' }, {})}\n${SECRET}`,
    `${encode('{"alg":"ES256"}')}.${'a'.repeat(16_000)}.c2ln`,
    'a.b.c '.repeat(200_000),
  ]) {
    await paste(page, text)
    await page.keyboard.press('Control+Enter')
    await button(page, 'Check with this server').click()
  }
  assert.deepEqual(sent, [])
  assert.ok(!(await page.evaluate(() => JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }]))).includes('canary'))
})

story('the page says of a token what the command line says', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  await page.goto('/inspect')
  const sent = listen(page)
  const { token } = await signIn(server)
  const look = async (text) => {
    await paste(page, text)
    await button(page, 'Check with this server').click()
    await shown(page, '.checks').waitFor()
    const said = explained(server, JSON.parse(sent.at(-1).body).token)
    const rows = await shown(page, '.checks li').evaluateAll((all) =>
      all.map((one) => ({
        check: one.querySelector('strong').textContent,
        verdict: one.querySelector('.mark-of').getAttribute('aria-label'),
        detail: one.querySelector('.detail')?.textContent ?? '',
      })),
    )
    const still = (detail) => detail.replaceAll(/(\d+ (second|minute)s?|now \d+)\s*/g, '')
    assert.deepEqual(
      rows.map((row) => ({ ...row, detail: still(row.detail) })),
      said.checks.map(({ check, verdict, detail }) => ({ check, verdict, detail: still(detail) })),
    )
    const top = await shown(page, '.lead').innerText()
    assert.equal(top.slice(2), said.verdict)
    if (said.advice) assert.ok((await shown(page, '.trouble').innerText()).includes(said.advice.replaceAll('`', '')))
    assert.equal(await page.locator('#said').innerText(), said.verdict)
    return said
  }
  assert.equal((await look(token)).accepted, true)
  assert.match(await shown(page, '.times').innerText(), /Issued .* ago, at .*\nExpires in .*, at .*\nThe clocks of this browser and of the server agree/)
  assert.match(await shown(page, '.payload.part').innerText(), /exp\n\d+\s*in 14 minutes, 2\d{3}-.*Z\s*Until when it is good/)
  assert.deepEqual(await shown(page, '.token span').allInnerTexts(), token.split('.'))
  assert.deepEqual(sent.map(({ method, path }) => `${method} ${path}`), ['POST /inspect'])

  assert.equal((await look(`Authorization: Bearer ${token}`)).accepted, true)
  assert.equal((await look(`  "${token}" `)).accepted, true)
  assert.match(await page.locator('#result').innerText(), /Quotes around it were left out/)
  await paste(page, `${token.slice(0, 30)}\n ${token.slice(30)}`)
  assert.match(await page.locator('#result').innerText(), /Take them out/)
  assert.equal((await look(token.slice(0, -4))).first_failure, 'signature')
  assert.equal((await look(jwt({ alg: 'HS256', typ: 'JWT' }, { sub: '1' }))).first_failure, 'key')
  await fetch(`${server.address}/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  assert.equal((await look(token)).first_failure, 'session')
  assert.match(await shown(page, '.trouble').innerText(), /session: ended 2.*Z: its owner logged out\n+What to do: Sign in again\./)
  for (const { body } of sent) assert.deepEqual(Object.keys(JSON.parse(body)), ['token'])
})

story('a clock that is wrong is called so', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  const { token } = await signIn(server)
  await page.addInitScript(() => {
    const now = Date.now
    Date.now = () => now() + 3_700_000
  })
  await page.goto('/inspect')
  await paste(page, token)
  await button(page, 'Check with this server').click()
  assert.match(await shown(page, '.times').innerText(), /clock of this browser is 1 hour ahead of the server’s/)
})

story('what a stranger wrote is text, and no link', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await page.goto('/inspect')
  const tokens = STRINGS.map((text) => jwt({ alg: 'ES256', kid: text }, { iss: text, [text]: 'https://evil.example', exp: text, iat: 1e300, nbf: -1 }))
  const wrong = await page.evaluate(async (texts) => {
    const field = document.querySelector('#text')
    const wrong = []
    for (const [text, isToken] of texts) {
      field.value = text
      field.dispatchEvent(new Event('input'))
      await new Promise((done) => setTimeout(done))
      const tables = document.querySelectorAll('#result .claims').length
      const markup = document.querySelectorAll('#result :is(a, img, script, iframe, svg, b)').length
      if (markup || (isToken && tables !== 2)) wrong.push(text)
    }
    return wrong
  }, [...tokens.map((text) => [text, true]), ...STRINGS.map((text) => [text, false])])
  assert.deepEqual(wrong, [])
  await paste(page, jwt({ alg: 'ES256' }, { iss: '<img src=x onerror=alert(1)>', '<b>': '<script>alert(1)</script>' }))
  assert.match(await shown(page, '.claims').last().innerText(), /<img src=x/)
  assert.equal(await shown(page, ':is(a, img, script, iframe, b)').count(), 0)
})

story('a recorded flow is drawn from a file or a drop, and a bad one is refused with its reason', ['--dev'], async ({ visit }) => {
  const page = await visit()
  await page.goto('/inspect')
  const sent = listen(page)
  const step = { verb: 0, verdict: 'done', at_us: 0, facts: [{ type: 'seen', label: 0, text: 'https://evil.example/ <img src=x>' }] }
  const flow = { id: '<b>canary</b>', at: Date.now(), sender: 'browser', method: 'GET', route: '/profile', status: 200, total_us: 9, story: {}, steps: [step], cut: 0 }
  const file = (change = {}) => JSON.stringify({ doorward_flow: 1, flow: { ...flow, ...change } })
  const open = async (text) => {
    await page.locator('#file').setInputFiles({ name: 'x.flow.json', mimeType: 'application/json', buffer: Buffer.from(text) })
    await page.locator('#result .card').first().waitFor()
  }
  const markup = () => page.locator('#result :is(a[href*=evil], img, script, iframe, b)').count()
  await open(file())
  assert.match(await shown(page, '[data-kind=flow]').innerText(), /^This is a recorded flow/)
  await shown(page, '.flow').getByText('Request').first().waitFor()
  assert.equal(await markup(), 0)

  for (const [text, reason] of [
    [file({ steps: Array(65).fill(step) }), /at most 64 steps/],
    [file({ steps: [{ ...step, facts: Array(13).fill(step.facts[0]) }] }), /more than 12 facts/],
    [file({ steps: [{ ...step, verb: 9_999 }] }), /no such verb/],
    [file({ steps: [{ ...step, verb: '__proto__' }] }), /no such verb/],
    [file({ steps: [{ ...step, facts: [{ type: 'constructor' }] }] }), /no known type/],
    [file({ steps: 'x' }), /has no steps/],
    ['{"doorward_flow":2,"flow":{}}', /another version/],
    ['{"doorward_flow":1}', /has no flow/],
    [`{"doorward_flow":1,"flow":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, /has no flow/],
    [`{"doorward_flow":1,"x":"${'x'.repeat(1_048_576)}"}`, /over 1 MiB/],
  ]) {
    await open(text)
    await page.locator('#result').getByText(reason).waitFor()
    assert.equal(await markup(), 0)
  }

  await page.evaluate((text) => {
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([text], 'x.flow.json'))
    for (const name of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer }))
  }, file({ route: '/dropped' }))
  await page.waitForFunction(() => document.querySelector('#text').value.includes('/dropped'))
  await shown(page, '.flow').getByText('Request').first().waitFor()
  await button(page, 'Check with this server').click()
  assert.equal(await page.locator('#said').innerText(), 'Nothing was sent: only an access token is checked by the server.')
  assert.deepEqual(sent.filter(({ method, path }) => method !== 'GET' || !path.startsWith('/assets/')), [])
})

for (const colorScheme of ['light', 'dark']) {
  story(`axe finds nothing in the inspector, ${colorScheme}`, ['--dev'], async ({ server, visit }) => {
    const page = await visit({ colorScheme })
    await page.goto('/inspect')
    await page.evaluate(AXE)
    const see = async (name) => {
      for (const [width, height] of [[1280, 800], [320, 640]]) {
        await page.setViewportSize({ width, height })
        const { violations } = await page.evaluate(() => axe.run(document))
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target)}`)
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        assert.deepEqual([found, Math.max(beyond, 0)], [[], 0], `${name}, ${width} wide`)
      }
    }
    await see('empty')
    const { token, refresh_token } = await signIn(server)
    for (const [name, text] of Object.entries({ token, foreign: jwt({ alg: 'HS256' }, { a: 'x'.repeat(900) }) })) {
      await paste(page, text)
      await button(page, 'Check with this server').click()
      await shown(page, '.checks').waitFor()
      await see(name)
    }
    await paste(page, refresh_token)
    await see('refresh token')
  })
}

story('with a keyboard alone', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  const { token } = await signIn(server)
  await page.goto('/inspect')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'text')
  await page.keyboard.insertText(token)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Check with this server')
  await page.keyboard.press('Enter')
  await shown(page, '.checks').waitFor()
  assert.equal(await page.locator('#said').innerText(), 'Accepted')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'file')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'The token, in three parts')
})

story('without JavaScript the page says so, and there is nothing to send', ['--dev'], async ({ visit }) => {
  const page = await visit({ javaScriptEnabled: false })
  await page.goto('/inspect')
  assert.equal(await heading(page), 'Inspect a token')
  assert.match(await page.locator('main').innerText(), /needs JavaScript[\s\S]*doorward token explain/)
  assert.equal(await page.getByRole('button').count(), 0)
  assert.equal(await page.locator('#text').isVisible(), false)
})
