// What a guard for Node keeps, requests and believes is bounded, as in the guard in Rust: with a server that
// misbehaves.

import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { mock, test } from 'node:test'
import { createGuard } from 'doorward/node'
import { until, using } from './support.mjs'

const table = JSON.parse(readFileSync(new URL('../../../tests/verdicts/tokens.json', import.meta.url)))
const story = (name, body) => test(name, { timeout: 60_000 }, () => using(body))

const token = (name) => {
  const { authorization } = table.tokens.find((one) => one.key === 'es256' && one.name === name)
  return new Headers({ authorization })
}
const GOOD = token('a good token')
const AFTER = token('the least version')
const [[CAROL, VERSION, KEEP]] = table.revoked.users
const SID = '01890a5d-ac96-774b-bcce-b302099a8059'
const TIMES = { iat: table.now - 10, exp: table.now + 600 }
const LIVE = { active: true, token_type: 'session_secret', sub: CAROL, sid: SID, role: 'admin', ver: VERSION, ...TIMES }
const client = { id: 'guard', secret: 'of the test' }
const settings = { issuer: table.issuer, audience: table.audience, client, now: () => table.now * 1000 }

/** The answer about one secret. */
const says = (said) => (_, outgoing) => outgoing.end(JSON.stringify({ tokens: [said] }))

/** An unknown secret; each number is another. */
const secret = (n) => new Headers({ cookie: `__Host-sessionId=${String(n).padStart(42, 'x')}A` })

/** A server whose answers a test can change: each is a function of request and response. */
async function publisher(answers = {}) {
  const asked = []
  const streams = new Set()
  const event = (name, data, id) => `event: ${name}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify(data)}\n\n`
  const routes = {
    '/.well-known/jwks.json': (_, outgoing) => outgoing.end(JSON.stringify(table.jwks)),
    '/.well-known/doorward': (_, outgoing) => outgoing.end('{}'),
    '/introspect': says({ active: false }),
    '/revocations': (_, outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
      outgoing.write(event('reset', {}) + event('current', { keys: 'one' }, 'e-1'))
      streams.add(outgoing)
      outgoing.on('close', () => streams.delete(outgoing))
    },
    ...answers,
  }
  const server = createServer((incoming, outgoing) => {
    asked.push({ path: incoming.url, last: incoming.headers['last-event-id'] })
    routes[incoming.url](incoming, outgoing)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    asked,
    routes,
    count: (path) => asked.filter((one) => one.path === path).length,
    say: (...events) => streams.forEach((stream) => stream.write(events.map((one) => event(...one)).join(''))),
    hangUp: () => streams.forEach((stream) => stream.end()),
    stop: () => (server.closeAllConnections(), server.close()),
  }
}

async function guarding(use, server, options = {}) {
  const guard = await createGuard({ ...settings, server: server.url, ...options })
  use({ stop: () => guard.close() })
  const verdict = async (headers) => {
    const found = await guard.check({ headers })
    return typeof found === 'string' ? found : 'ok'
  }
  return { guard, verdict }
}

/** Sets the machine's clock ahead by this many seconds. */
function later(use, seconds) {
  const { now } = Date
  Date.now = () => now() + seconds * 1000
  use({ stop: () => void (Date.now = now) })
}

story('x14_after_a_reset_the_greater_versions_stay_in_force', async (use) => {
  const server = use(await publisher())
  const { guard, verdict } = await guarding(use, server)
  const least = (version) => ['revoked', { sessions: [], users: [[CAROL, version, KEEP]] }, 'e-2']
  server.say(least(VERSION + 7))
  await until('the new version', async () => (await verdict(AFTER)) === 'token_stale')

  // Versions never go back, not even in a restored database: a telling that says less is one of a server that knows less.
  server.say(['reset', {}], least(1))
  await until('the reset', () => guard.health().position === 'e-2')
  assert.equal(await verdict(AFTER), 'token_stale')
  server.say(['current', { keys: 'one' }, 'e-3'])
  await until('the whole telling', () => guard.health().position === 'e-3')
  assert.equal(await verdict(AFTER), 'token_stale')
  server.say(['reset', {}], ['current', { keys: 'one' }, 'e-4'])
  await until('the end', () => guard.health().position === 'e-4')
  assert.deepEqual([await verdict(AFTER), guard.health().revocations], ['token_stale', 1])
})

story('x14_what_is_no_revocation_cuts_the_feed_and_counts_for_nothing', async (use) => {
  const server = use(await publisher())
  const { guard, verdict } = await guarding(use, server)
  for (const [n, data] of [
    { sessions: [[SID]] }, { sessions: ['x'] }, { sessions: {} }, { users: [[CAROL, VERSION]] }, { users: [CAROL] }, null,
  ].entries()) {
    server.say(['revoked', data, `e-${n + 10}`])
    await until('the cut', () => guard.health().reconnects > n)
    await until('the next connection', () => server.count('/revocations') === n + 2)
    await until('the word', () => guard.health().problem === undefined)
  }
  assert.equal(server.asked.findLast(({ path }) => path === '/revocations').last, 'e-1')
  assert.deepEqual([guard.health().revocations, await verdict(GOOD)], [0, 'ok'])
})

story('x14_made_up_session_secrets_are_so_many_questions_at_a_time_and_no_more', async (use) => {
  const waiting = []
  const server = use(await publisher({ '/introspect': (_, outgoing) => waiting.push(outgoing) }))
  const { verdict } = await guarding(use, server)
  const answers = Array.from({ length: 2_000 }, (_, n) => verdict(secret(n)))
  await until('the questions', () => waiting.length === 32)
  // A request without a place in the queue is refused at once; there is one request for each secret.
  const over = await Promise.all(answers.slice(32 + 256))
  assert.deepEqual(new Set(over), new Set(['unavailable']))
  const again = verdict(secret(0))
  assert.equal(server.count('/introspect'), 32)
  server.routes['/introspect'] = says({ active: false })
  for (const outgoing of waiting) server.routes['/introspect'](undefined, outgoing)
  assert.deepEqual(new Set(await Promise.all(answers.slice(0, 32 + 256))), new Set(['token_invalid']))
  assert.equal(await again, 'token_invalid')
  assert.equal(server.count('/introspect'), 32 + 256)
  // They cost the server one request each, once, and push no live session out.
  server.routes['/introspect'] = says(LIVE)
  assert.equal(await verdict(secret('live')), 'ok')
})

story('x08_a_remembered_secret_is_asked_about_again_once_its_user_has_changed', async (use) => {
  const server = use(await publisher({ '/introspect': says(LIVE) }))
  const { guard, verdict } = await guarding(use, server)
  assert.deepEqual([await verdict(secret(1)), await verdict(secret(1)), server.count('/introspect')], ['ok', 'ok', 1])
  // A new password replaces the secret.
  server.routes['/introspect'] = says({ active: false, code: 'token_stale' })
  server.say(['revoked', { users: [[CAROL, VERSION + 1, KEEP]] }, 'e-2'])
  await until('the change', () => guard.health().revocations === 1)
  assert.deepEqual([await verdict(secret(1)), server.count('/introspect')], ['token_stale', 2])
})

story('x14_a_secret_that_can_be_none_is_no_question', async (use) => {
  const server = use(await publisher())
  const { verdict } = await guarding(use, server)
  const text = 'x'.repeat(42)
  // The last character has two bits that no valid spelling uses.
  for (const value of ['', text, `${text}B`, `${text}A=`, `${text}AA`, `${text.slice(1)}+A`, `${text}\u00e9`]) {
    assert.equal(await verdict(new Headers({ cookie: `__Host-sessionId=${value}` })), 'token_invalid')
  }
  assert.equal(server.count('/introspect'), 0)
})

for (const [name, answer] of Object.entries({
  'that never ends': (_, outgoing) => {
    const timer = setInterval(() => outgoing.write('x'.repeat(65_536)), 1)
    outgoing.on('close', () => clearInterval(timer))
  },
  'that names nobody': says({ active: true, token_type: 'session_secret' }),
  'of another shape': says({ ...LIVE, sub: 'carol' }),
  'without an end of the session': says({ ...LIVE, exp: undefined }),
  'that is no JSON': (_, outgoing) => outgoing.end('<html>'),
  'that is null': (_, outgoing) => outgoing.end('null'),
  'about none': (_, outgoing) => outgoing.end(JSON.stringify({ tokens: [] })),
  'of a failure': (_, outgoing) => outgoing.writeHead(500).end(JSON.stringify({ tokens: [LIVE] })),
  'of somewhere else': (_, outgoing) => outgoing.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
})) {
  story(`x14_an_answer_about_a_session_is_no_answer: one ${name}`, async (use) => {
    const server = use(await publisher({ '/introspect': answer }))
    const { verdict } = await guarding(use, server)
    assert.equal(await verdict(secret(1)), 'unavailable')
    server.routes['/introspect'] = says(LIVE)
    assert.equal(await verdict(secret(1)), 'ok')
  })
}

story('x14_without_the_feed_keys_that_are_too_old_refuse', async (use) => {
  const keys = (_, outgoing) => outgoing.setHeader('cache-control', 'max-age=60').end(JSON.stringify(table.jwks))
  const server = use(await publisher({ '/.well-known/jwks.json': keys }))
  const alone = { client: undefined, withoutRevocations: true }
  const strict = await guarding(use, server, alone)
  const lenient = await guarding(use, server, { ...alone, whenStale: 'accept-until-expiry' })
  later(use, 170)
  assert.deepEqual([await strict.verdict(GOOD), await lenient.verdict(GOOD)], ['ok', 'ok'])
  assert.ok(strict.guard.health().staleFor > 100)
  later(use, 20)
  assert.deepEqual([await strict.verdict(GOOD), await lenient.verdict(GOOD)], ['unavailable', 'ok'])
})

story('x14_keys_are_fetched_anew_as_long_as_their_server_allows_and_never_kept_for_longer_than_an_hour', async (use) => {
  for (const [said, expected] of [['max-age=60', 60], ['max-age=0', 10], ['max-age=99999999', 3_600], [undefined, 300], ['s-max-age=7', 300]]) {
    const keys = (_, outgoing) => {
      if (said) outgoing.setHeader('cache-control', said)
      outgoing.end(JSON.stringify(table.jwks))
    }
    const server = use(await publisher({ '/.well-known/jwks.json': keys }))
    mock.timers.enable({ apis: ['setTimeout'] })
    const { guard } = await guarding(use, server, { client: undefined, withoutRevocations: true })
    mock.timers.tick((expected - 1) * 1000)
    assert.equal(server.count('/.well-known/jwks.json'), 1, said)
    mock.timers.tick(1_000)
    mock.timers.reset()
    await until('the second time', () => server.count('/.well-known/jwks.json') === 2)
    guard.close()
  }
})

story('x14_an_unknown_key_is_a_failure_of_ours_while_the_keys_cannot_be_fetched', async (use) => {
  const server = use(await publisher())
  const { verdict } = await guarding(use, server)
  const [unknown] = table.tokens.filter(({ key, name }) => key === 'es256' && name.startsWith('J05'))
  const headers = new Headers({ authorization: unknown.authorization })
  assert.equal(await verdict(headers), 'token_invalid')
  server.routes['/.well-known/jwks.json'] = (_, outgoing) => outgoing.writeHead(500).end()
  const { now } = performance
  performance.now = () => now.call(performance) + 11_000
  use({ stop: () => void (performance.now = now) })
  const verdicts = await Promise.all(Array.from({ length: 50 }, () => verdict(headers)))
  assert.deepEqual(new Set(verdicts), new Set(['unavailable']))
  assert.equal(await verdict(headers), 'unavailable')
  assert.equal(server.count('/.well-known/jwks.json'), 2)
  assert.equal(await verdict(GOOD), 'ok')
})

story('x14_a_guard_that_is_closed_asks_nobody_any_more', async (use) => {
  const server = use(await publisher())
  mock.timers.enable({ apis: ['setTimeout'] })
  use({ stop: () => mock.timers.reset() })
  const guard = await createGuard({ ...settings, server: server.url, client: undefined, withoutRevocations: true })
  let held
  server.routes['/.well-known/jwks.json'] = (_, outgoing) => (held = outgoing)
  mock.timers.tick(300_000)
  while (!held) await new Promise(setImmediate)
  guard.close()
  held.end(JSON.stringify(table.jwks))
  for (let n = 0; n < 100; n += 1) await new Promise(setImmediate)
  mock.timers.tick(7_200_000)
  for (let n = 0; n < 100; n += 1) await new Promise(setImmediate)
  assert.equal(server.count('/.well-known/jwks.json'), 2)
})

story('x14_keys_that_never_end_take_no_memory', async (use) => {
  const keys = (_, outgoing) => {
    const timer = setInterval(() => outgoing.write(' '.repeat(65_536)), 1)
    outgoing.on('close', () => clearInterval(timer))
  }
  const server = use(await publisher({ '/.well-known/jwks.json': keys }))
  await assert.rejects(guarding(use, server), /too long/)
})

story('x14_a_connection_that_ended_leaves_nothing_behind', async (use) => {
  const signals = []
  const { AbortController: Controller } = globalThis
  globalThis.AbortController = class extends Controller {
    constructor() {
      super()
      signals.push(this.signal)
    }
  }
  use({ stop: () => void (globalThis.AbortController = Controller) })
  const server = use(await publisher())
  const { guard } = await guarding(use, server)
  for (let n = 1; n <= 8; n += 1) {
    server.hangUp()
    await until('the next connection', () => guard.health().reconnects === n && guard.health().problem === undefined)
  }
  const open = signals.filter((signal) => !signal.aborted)
  const listeners = open.map((signal) => getEventListeners(signal, 'abort').length)
  assert.ok(open.length <= 4 && listeners.every((count) => count <= 2), `${open.length} signals, ${listeners} listeners`)
})

story('j43_a_clock_that_was_put_ahead_forgets_no_revocation', async (use) => {
  const server = use(await publisher())
  mock.timers.enable({ apis: ['setInterval'] })
  use({ stop: () => mock.timers.reset() })
  const { guard } = await guarding(use, server, { staleAfter: 1e9 })
  server.say(['revoked', { sessions: [[SID, 600]] }, 'e-2'])
  await until('the logout', () => guard.health().revocations === 1)
  later(use, 86_400)
  mock.timers.tick(60_000)
  assert.equal(guard.health().revocations, 1)
  const { now } = performance
  performance.now = () => now.call(performance) + 601_000
  use({ stop: () => void (performance.now = now) })
  mock.timers.tick(60_000)
  assert.equal(guard.health().revocations, 0)
})

story('x14_what_found_no_room_is_missing_until_everything_was_read_again', async (use) => {
  const server = use(await publisher())
  mock.timers.enable({ apis: ['setInterval'] })
  use({ stop: () => mock.timers.reset() })
  const { guard, verdict } = await guarding(use, server, { maxRevocations: 1 })
  const [other, last] = ['01890a5d-ac96-774b-bcce-b302099a8060', '01890a5d-ac96-774b-bcce-b302099a8061']
  server.say(['revoked', { sessions: [[other, 0], [last, 600]] }, 'e-2'], ['current', { keys: 'one' }, 'e-3'])
  await until('the overflow', async () => (await verdict(GOOD)) === 'unavailable')
  assert.match(guard.health().problem, /maxRevocations/)
  // There is room again; and while it reads everything once more, a miss still doesn't count.
  let held
  server.routes['/revocations'] = (_, outgoing) => {
    held = outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
    held.write('event: reset\ndata: {}\n\n')
  }
  mock.timers.tick(60_000)
  await until('the second telling', () => held)
  assert.equal(server.asked.at(-1).last, undefined)
  assert.deepEqual([guard.health().revocations, await verdict(GOOD)], [0, 'unavailable'])
  held.write(`event: revoked\ndata: ${JSON.stringify({ sessions: [[last, 600]] })}\n\n`)
  held.write('event: current\nid: e-4\ndata: {"keys":"one"}\n\n')
  await until('the room', async () => (await verdict(GOOD)) === 'ok')
  assert.equal(guard.health().revocations, 1)
})

story('x14_a_feed_that_is_none_is_not_followed', async (use) => {
  const feed = (type, body) => (_, outgoing) => outgoing.writeHead(200, { 'content-type': type }).write(body)
  const current = 'event: current\ndata: {"keys":"one"}\n\n'
  for (const [type, body] of [
    ['text/html', current],
    ['text/event-stream', 'x'.repeat(1_100_000)],
    ['text/event-stream', Buffer.from([0xff, 0x0a])],
  ]) {
    const server = use(await publisher({ '/revocations': feed(type, body) }))
    const guard = guarding(use, server)
    await until('the third try', () => server.count('/revocations') >= 3)
    server.routes['/revocations'] = feed('text/event-stream', current)
    await guard
  }
})

test('options that are no numbers, and roles that are no own ones, are no surprise', async () => {
  for (const name of ['staleAfter', 'maxTtl', 'maxRevocations']) {
    for (const value of [NaN, 0, -1, 'soon']) await assert.rejects(createGuard({ jwks: table.jwks, [name]: value }), TypeError)
  }
  for (const secret of ['a'.repeat(64), 'abcdefg'.repeat(9)]) await assert.rejects(createGuard({ secret }), /distinct/)
  for (const server of ['https://a:b@example.com', 'https://example.com/?x', 'https://example.com/#x']) {
    await assert.rejects(createGuard({ server, client }), /scheme, host and port/)
  }
  const guard = await createGuard({ jwks: table.jwks, roles: { editor: ['posts.write'] } })
  assert.deepEqual(['editor', 'constructor', '__proto__'].map((role) => guard.grants(role, 'posts.write')), [true, false, false])
})
