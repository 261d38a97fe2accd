// What pages of other origins may do from a browser, and what a page without an origin may not.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test, after } from 'node:test'
import { PASSWORD, close, email, tell } from './support.mjs'

after(close)

const FRAME = '<iframe sandbox="allow-scripts" srcdoc="<title>No origin</title>"></iframe>'
const PAGE = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>A shop</title>${FRAME}`

// A page of another site with a sandboxed frame; failing calls show on its console.
async function shop(body) {
  const origins = []
  const site = createServer((request, answer) => {
    if (request.method === 'POST') origins.push(request.headers.origin)
    answer.setHeader('content-type', 'text/html').end(PAGE)
  })
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  try {
    await body(`http://127.0.0.1:${site.address().port}`, origins)
  } finally {
    site.closeAllConnections()
    site.close()
  }
}

// Asks from within a page: the status and what can be read of the answer, or the error.
function ask(frame, url, options = {}) {
  return frame.evaluate(
    async ([url, options]) => {
      try {
        const answer = await fetch(url, options)
        const { status, type } = answer
        return { status, type, challenge: answer.headers.get('www-authenticate'), text: await answer.text() }
      } catch (error) {
        return { error: error.name }
      }
    },
    [url, options],
  )
}

const json = (fields, headers = {}) => ({
  method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(fields),
})
const sign = (mode) => ({ email: email('ada'), password: PASSWORD, mode })
const TRACED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', baggage: 'a=b' }

function story(name, body) {
  test(name, { timeout: 60_000 }, () =>
    shop((origin, origins) =>
      tell(['--dev', '--set', `origins=${origin}`], async ({ server, visit }) => {
        server.user('Ada')
        // Failing calls are the subject here, so the page's console is ignored.
        const page = await (await visit()).context().newPage()
        await page.goto(origin)
        await body({ page, server, origin, origins })
      }),
    ),
  )
}

story('a listed page of another site signs in with bearer tokens, with headers of its own', async ({ page, server }) => {
  const login = await ask(page, `${server.url}/login`, json(sign('bearer'), TRACED))
  assert.equal(login.status, 200, JSON.stringify(login))
  const { token } = JSON.parse(login.text)
  const profile = await ask(page, `${server.url}/profile`, { headers: { authorization: `Bearer ${token}`, ...TRACED } })
  assert.equal(profile.status, 200)
  const refused = await ask(page, `${server.url}/profile`, { headers: { authorization: 'Bearer x' } })
  assert.equal(refused.status, 401)
  assert.match(refused.challenge, /invalid_token/)
})

story('cookies for a page of another site are refused with the reason', async ({ page, server }) => {
  for (const mode of ['session', 'cookie']) {
    const login = await ask(page, `${server.url}/login`, { ...json(sign(mode)), credentials: 'include' })
    assert.equal(login.status, 422)
    assert.match(JSON.parse(login.text).fields[0].message, /another site/)
  }
  assert.deepEqual(await page.context().cookies(), [])
})

story('a sandboxed frame of a listed page has no origin, and may do nothing', async ({ page, server, origin, origins }) => {
  const answers = []
  page.on('response', (response) => answers.push(response))
  const frame = page.frames()[1]
  for (const headers of [{}, TRACED]) {
    assert.deepEqual(await ask(frame, `${server.url}/login`, json(sign('bearer'), headers)), { error: 'TypeError' })
  }
  assert.deepEqual(await ask(frame, `${server.url}/profile`), { error: 'TypeError' })
  // A request without preflight is sent, and refused.
  const simple = { method: 'POST', mode: 'no-cors', credentials: 'include' }
  assert.equal((await ask(frame, `${server.url}/logout`, simple)).type, 'opaque')
  const answer = answers.find((one) => one.url().endsWith('/logout'))
  assert.equal(answer.status(), 403)
  await ask(frame, origin, simple)
  assert.deepEqual(origins, ['null'])
  assert.equal((await ask(page, `${server.url}/healthz`)).status, 200)
})
