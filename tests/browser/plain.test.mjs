// Forms in browsers that send less: over plain http, behind something that drops the fetch metadata, and in a frame
// without an origin.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createPage, request } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PASSWORD, button, email, fill, freePort, heading, path, press, register, signIn, story, storyWithAndWithoutScripts } from './support.mjs'
import { tour } from './tour.mjs'

const PLAIN = (port) => ['--set', `public_url=http://door.test:${port}`, '--set', 'http.plain=true']

story('every page and form works over plain http under a name', PLAIN, async (scene) => {
  const seen = []
  await tour({
    ...scene,
    see: async (name, page) => {
      assert.equal(await page.evaluate(() => isSecureContext), false)
      seen.push(name)
    },
  })
  assert.ok(seen.length > 20, seen.join())
})

for (const mode of ['session', 'cookie']) {
  const flags = (port) => [...PLAIN(port), '--set', `mode_form=${mode}`]
  storyWithAndWithoutScripts(`a sign-in over plain http in ${mode} mode`, flags, async ({ visit }) => {
    const page = await visit()
    await register(page, 'Ada')
    const cookies = await page.context().cookies()
    assert.ok(cookies.length > 0)
    assert.deepEqual(cookies.filter(({ secure, name }) => secure || name.startsWith('__')), [])
    await press(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }))
    assert.equal(path(page), '/login')
    await signIn(page, 'ada')
    assert.equal(await heading(page), 'Welcome Ada!')
  })
}

// A proxy that speaks https and forwards everything but the fetch metadata, as some proxies and old browsers do.
async function withoutMetadata(port, upstream, body) {
  const folder = mkdtempSync(join(tmpdir(), 'doorward-tls-'))
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const kept = ['-keyout', key, '-out', cert, '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...kept], { stdio: 'ignore' })
  const proxy = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (asked, answer) => {
    const headers = Object.entries(asked.headers).filter(([name]) => !name.startsWith('sec-fetch'))
    const options = { port: upstream, method: asked.method, path: asked.url, headers: Object.fromEntries(headers) }
    asked.pipe(request(options, (got) => got.pipe(answer.writeHead(got.statusCode, got.rawHeaders))))
  })
  proxy.listen(port, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    await body()
  } finally {
    proxy.closeAllConnections()
    proxy.close()
    rmSync(folder, { recursive: true })
  }
}

const outside = await freePort()
const TLS = () => ['--set', `public_url=https://localhost:${outside}`]

storyWithAndWithoutScripts('forms over https whose fetch metadata is lost', TLS, async ({ server, visit }) => {
  await withoutMetadata(outside, new URL(server.address).port, async () => {
    const page = await visit({ ignoreHTTPSErrors: true })
    await register(page, 'Ada')
    await press(page, page.getByRole('navigation').getByRole('button', { name: 'Sign out' }))
    await signIn(page, 'ada')
    assert.equal(await heading(page), 'Welcome Ada!')
  })
})

// A page of another site, with one of our forms in a frame without an origin.
async function sandboxed(action, body) {
  const fields = `<input name=email value="${email('ada')}"><input name=password value="${PASSWORD}">`
  const form = `<form method=post action="${action}">${fields}<button>Win</button></form>`
  const frame = `<iframe sandbox="allow-forms allow-top-navigation" srcdoc='${form.replaceAll('<form', '<form target=_top')}'></iframe>`
  const site = createPage((_, answer) => answer.setHeader('content-type', 'text/html').end(`<!doctype html><link rel=icon href="data:,">${frame}`))
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  try {
    await body(`http://127.0.0.1:${site.address().port}/`)
  } finally {
    site.closeAllConnections()
    site.close()
  }
}

for (const [how, flags] of [['plain http', PLAIN], ['localhost', ['--dev']]]) {
  story(`a frame without an origin signs nobody in over ${how}`, flags, async ({ server, visit }) => {
    server.user('Ada')
    const page = await visit()
    await sandboxed(`${server.url}/login`, async (elsewhere) => {
      await page.goto(elsewhere)
      const sent = page.waitForRequest(`${server.url}/login`)
      const frame = page.frameLocator('iframe')
      const answered = page.waitForResponse(`${server.url}/login`)
      await frame.getByRole('button').click()
      assert.equal(await (await sent).headerValue('origin'), 'null')
      assert.equal((await answered).status(), 403)
      await page.getByText('comes from another site').waitFor()
      assert.deepEqual(await page.context().cookies(server.url), [])
    })
  })
}
