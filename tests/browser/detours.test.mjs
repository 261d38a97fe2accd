// Ways into a page whose sign-in shows only at the second request, and ways out that must work.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import {
  FIREFOX, IPHONE, button, email, fill, heading, path, press, register, signIn, story, storyWithAndWithoutScripts, PASSWORD,
} from './support.mjs'

// The paths that the browser was redirected through, up to the page that it shows.
async function way(response) {
  const hops = []
  for (let request = response.request(); request; request = request.redirectedFrom()) {
    hops.unshift(new URL(request.url()).pathname)
  }
  return hops
}

// A page of another site, with a link.
async function elsewhere(href, body) {
  const page = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Elsewhere</title><a href="${href}">To the door</a>`
  const site = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(page))
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  try {
    await body(`http://127.0.0.1:${site.address().port}/`)
  } finally {
    site.closeAllConnections()
    site.close()
  }
}

for (const [how, flags] of [
  ['a session cookie', ['--dev']],
  ['token cookies', ['--dev', '--set', 'mode_form=cookie']],
  ['Secure cookies of localhost', []],
]) {
  storyWithAndWithoutScripts(`arriving from another site with ${how}`, flags, async ({ server, visit }) => {
    const page = await visit()
    await register(page, 'Ada')
    const cookie = (await page.context().cookies()).find(({ name }) => /session|token/.test(name))
    assert.equal(cookie.sameSite, 'Strict')
    assert.equal(cookie.secure, flags.length === 0)
    await elsewhere(`${server.url}/dashboard?a=b`, async (origin) => {
      await page.goto(origin)
      const asked = []
      page.on('request', (request) => asked.push(new URL(request.url()).pathname))
      await page.getByRole('link').click()
      await page.getByRole('heading', { name: 'Welcome Ada!' }).waitFor()
      assert.equal(page.url(), `${server.url}/dashboard?a=b`)
      assert.deepEqual(asked.filter((path) => !/\.\w+$/.test(path)), ['/dashboard', '/refresh', '/dashboard'])
    })

    // A visitor who isn't signed in gets to the login the same way.
    const stranger = await visit()
    await elsewhere(`${server.url}/dashboard?a=b`, async (origin) => {
      await stranger.goto(origin)
      await stranger.getByRole('link').click()
      await stranger.getByLabel('Email', { exact: true }).waitFor()
      await signIn(stranger, 'ada')
      assert.equal(stranger.url(), `${server.url}/dashboard?a=b`)
    })
  })
}

story('another site can neither sign out nor end a device', ['--dev'], async ({ server, visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  await elsewhere('/', async (origin) => {
    await page.goto(origin)
    for (const door of ['/logout', '/logout/all', '/sessions/end-others', '/profile/delete']) {
      const answer = page.waitForResponse(`${server.url}${door}`)
      const loaded = page.waitForEvent('load')
      await page.evaluate((action) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action })
        document.body.append(form)
        form.submit()
      }, `${server.url}${door}`)
      assert.equal((await answer).status(), 403)
      await loaded
      await page.goto(origin)
    }
  })
  await page.goto('/dashboard')
  assert.equal(await heading(page), 'Welcome Ada!')
})

const SHORT = ['--dev', '--access-ttl', '2s', '--set', 'mode_form=cookie']

// Sends requests until the access token has expired, as a script of the page would notice.
async function runOut(page) {
  const ask = () => page.context().request.get('/profile', { headers: { accept: 'application/json' } })
  while ((await (await ask()).json()).code !== 'token_expired');
}

storyWithAndWithoutScripts('an access token that runs out is renewed on the way', SHORT, async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  await runOut(page)
  const response = await page.goto('/dashboard?a=b')
  assert.deepEqual(await way(response), ['/dashboard', '/refresh', '/dashboard'])
  assert.equal(await heading(page), 'Welcome Ada!')

  await runOut(page)
  await page.goto('/login')
  assert.equal(path(page), '/dashboard')

  // Without the refresh token it can't be renewed.
  await runOut(page)
  await page.context().clearCookies({ name: 'refresh_token' })
  assert.deepEqual(await way(await page.goto('/dashboard')), ['/dashboard', '/refresh', '/login'])
  await signIn(page, 'ada')
  assert.equal(path(page), '/dashboard')
})

story('two tabs whose token has run out are both renewed', SHORT, async ({ visit }) => {
  const page = await visit()
  await register(page, 'Ada')
  const tab = await page.context().newPage()
  await runOut(page)
  await Promise.all([page.goto('/dashboard'), tab.goto('/dashboard')])
  for (const one of [page, tab]) assert.equal(await heading(one), 'Welcome Ada!')
})

storyWithAndWithoutScripts('a browser with the cookies of two people always gets out', ['--dev'], async ({ visit }) => {
  const other = await visit({ userAgent: IPHONE })
  await register(other, 'Eve')
  const session = (await other.context().cookies()).find(({ name }) => name === 'sessionId')
  const page = await visit({ userAgent: FIREFOX })
  await register(page, 'Ada')
  // Eve's cookie is for one page only, so it doesn't replace Ada's, and isn't sent to /logout.
  await page.context().addCookies([{ ...session, path: '/dashboard' }, { ...session, name: 'token', value: 'x' }])
  await page.goto('/dashboard')
  assert.doesNotMatch(await heading(page), /Welcome/)
  await press(page, button(page, 'Sign out of both'))
  assert.equal(path(page), '/login')
  await page.goto('/dashboard')
  assert.equal(path(page), '/login')
  await signIn(page, 'ada')
  assert.equal(await heading(page), 'Welcome Ada!')
})
