// What development mode opens: no page of another port of this machine can read or use it, whatever `origins` lists.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after } from 'node:test'
import { story } from './support.mjs'

// A page at another port of localhost.
const neighbour = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><p>Hello'))
neighbour.listen(0, '127.0.0.1')
await once(neighbour, 'listening')
after(() => (neighbour.closeAllConnections(), neighbour.close()))
const origin = `http://localhost:${neighbour.address().port}`
const flags = ['--dev', '--set', `origins=${origin}`]

// The routes that development mode opens. Nothing has the id `x`.
async function opened(server) {
  const { paths } = await (await fetch(`${server.address}/openapi.json`)).json()
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => /development$/.test(operation['x-who-may']))
      .map(([method]) => ({ method: method.toUpperCase(), path: path.replace(/{\w+}/, 'x') })),
  )
  assert(routes.length >= 5, JSON.stringify(routes))
  return routes
}

// What a page gets of a route in each way that it has: text that it can read, or what the browser says instead.
function tries({ method, url }) {
  const asks = (options) =>
    fetch(url, { method, ...options }).then(
      async (answer) => (await answer.text()) || answer.type,
      (error) => error.name,
    )
  const ends = (element) =>
    new Promise((done) => {
      for (const type of ['load', 'error']) element.addEventListener(type, () => done(type))
    })
  const add = (tag, properties) => document.body.appendChild(Object.assign(document.createElement(tag), properties))
  const loads = (tag) => ends(add(tag, { src: url }))
  // A frame loads in any case; what it shows is the answer's.
  const sends = (name) => {
    const frame = add('iframe', { name })
    add('form', { method, action: url, target: name }).submit()
    return ends(frame).then(() => 'framed')
  }
  return Promise.all([
    asks({}),
    asks({ credentials: 'include' }),
    asks({ mode: 'no-cors', credentials: 'include' }),
    asks({ headers: { accept: 'application/json', 'x-any': '1' } }),
    loads('img'),
    loads('script'),
    loads('iframe').then(() => 'framed'),
    sends(`form of ${method} ${url}`),
  ])
}

story('a page of another port reads and uses nothing that development mode opens', flags, async ({ server, visit }) => {
  const routes = (await opened(server)).map(({ method, path }) => ({ method, url: server.url + path }))
  const tab = await (await visit()).context().newPage()
  const [asked, answers] = [new Set(), []]
  tab.on('request', (request) => asked.add(`${request.resourceType()} ${request.method()}`))
  tab.on('response', (answer) => answer.url().startsWith(server.url) && answers.push(answer))
  await tab.goto(origin)
  const nothing = ['TypeError', 'opaque', 'error', 'framed']
  for (const [at, got] of (await Promise.all(routes.map((route) => tab.evaluate(tries, route)))).entries())
    assert.deepEqual(got.filter((one) => !nothing.includes(one)), [], routes[at].url)
  for (const way of ['fetch GET', 'fetch POST', 'image GET', 'script GET', 'document GET', 'document POST'])
    assert(asked.has(way), `${way} in ${[...asked]}`)
  for (const answer of answers) {
    const what = `${answer.request().method()} ${answer.url()}`
    const known = routes.some(({ method, url }) => what.split('?')[0] === `${method} ${url}`)
    assert.equal(answer.status(), known ? 403 : 405, what)
    assert.equal(answer.headers()['access-control-allow-origin'], undefined, what)
  }
  // The developer's own tab reads them.
  const own = await visit()
  await own.goto('/flow')
  assert.equal(await own.evaluate(() => fetch('/flow').then(({ status }) => status)), 200)
})

story('a link on a page of another port goes on from the page that refuses it', flags, async ({ server, visit }) => {
  const tab = await (await visit()).context().newPage()
  await tab.goto(origin)
  const link = `${server.url}/flow?route=/login`
  await tab.evaluate((href) => document.body.append(Object.assign(document.createElement('a'), { href, text: 'Flow' })), link)
  await tab.getByText('Flow').click()
  await tab.getByText('development_only').waitFor()
  await tab.getByRole('link', { name: 'Open it' }).click()
  await tab.getByRole('heading', { name: 'Requests', level: 1 }).waitFor()
  assert.equal(tab.url(), link)
})

story('a name that a stranger’s DNS points to this machine shows nothing', flags, async ({ server, visit }) => {
  const { port } = new URL(server.url)
  const tab = await (await visit()).context().newPage()
  // As a rebinding name arrives: the browser connects here and names another host.
  const stranger = `http://rebind.example.com:${port}`
  const gated = (await opened(server)).map(({ path }) => path)
  for (const path of new Set([...gated, '/', '/profile'])) {
    const answer = await tab.goto(stranger + path)
    assert.equal(answer.status(), 421, path)
    assert.match(await tab.content(), /development server/)
  }
})
