// The guard for Node apart from its server: sessions that end there are refused here, whatever happens to the
// connection.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer as listenTcp } from 'node:net'
import { test } from 'node:test'
import { createClient } from 'doorward'
import { createGuard } from 'doorward/node'
import { ada, email, serve, until, using } from './support.mjs'

const FEED = 'the feed of the tests: 9d81f0c27a4b3e5964711'
const story = (name, body) => test(name, { timeout: 90_000 }, () => using(body))

/** A connection to the server at `url` that can be cut and restored. */
async function cable(url) {
  const { port } = new URL(url)
  const ends = new Set()
  let whole = true
  const proxy = listenTcp((near) => {
    if (!whole) return void near.destroy()
    const far = connect(port, '127.0.0.1')
    for (const [end, other] of [[near, far], [far, near]]) {
      ends.add(end)
      end.pipe(other)
      end.on('error', () => other.destroy())
      end.on('close', () => (ends.delete(end), other.destroy()))
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const cut = () => {
    whole = false
    for (const end of ends) end.destroy()
  }
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    cut,
    mend: () => (whole = true),
    stop: () => (cut(), proxy.close()),
  }
}

async function guarding(use, options = {}) {
  const guard = await createGuard({ feedSecret: FEED, cookies: { token: 'token', session: 'sessionId' }, ...options })
  use({ stop: () => guard.close() })
  const verdict = async (headers) => {
    const found = await guard.check({ headers: new Headers(headers) })
    return typeof found === 'string' ? found : 'ok'
  }
  return { guard, verdict }
}

const running = async (use, flags) => use(await serve(flags, { DOORWARD_FEED_SECRET: FEED }))

/** A sign-in: its client, and what it sends. */
async function signedIn(server, name = 'ada') {
  const store = { get: () => store.text ?? null, set: (text) => void (store.text = text) }
  const client = createClient({ url: server.url, store })
  const user = await client.register({ ...ada, name, email: email(name) })
  return { client, user, sends: () => ({ authorization: `Bearer ${JSON.parse(store.text).token}` }) }
}

/** A sign-in of session mode: its cookie. */
async function sessionOf(server, name) {
  const body = JSON.stringify({ ...ada, name, email: email(name), mode: 'session' })
  const answer = await fetch(`${server.url}/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const cookie = answer.headers.getSetCookie().find((line) => line.startsWith('sessionId='))
  return { cookie: cookie.split(';')[0] }
}

story('a logout, a new role and an act of the command line are refused at once', async (use) => {
  const server = await running(use)
  const { guard, verdict } = await guarding(use, { server: server.url })
  const { client, sends } = await signedIn(server)
  const before = sends()
  assert.equal(await verdict(before), 'ok')
  server.role('ada', 'admin')
  await until('the new role', async () => (await verdict(before)) === 'token_stale')
  await client.refresh()
  const after = sends()
  assert.equal(await verdict(after), 'ok')
  await client.logout()
  await until('the logout', async () => (await verdict(after)) === 'session_ended')

  await client.login(ada)
  const last = sends()
  server.run('session', 'end', '--user', ada.email)
  await until('the end', async () => (await verdict(last)) === 'token_stale')
  await assert.rejects(client.profile(), { code: 'session_ended' })
  const { position, staleFor, revocations, keys } = guard.health()
  assert.match(position, /-\d+$/)
  assert.ok(staleFor < 15 && revocations >= 2 && keys === 1)
})

story('a line that was cut is mended without a loss, and the guard goes on where it was', async (use) => {
  const server = await running(use)
  const line = use(await cable(server.url))
  const { guard, verdict } = await guarding(use, { server: line.url })
  const all = await Promise.all(Array.from({ length: 10 }, (_, n) => signedIn(server, `user-${n}`)))
  const sent = all.map(({ sends }) => sends())
  await all[0].client.logout()
  await until('the first', async () => (await verdict(sent[0])) === 'session_ended')
  const { position } = guard.health()
  line.cut()
  await Promise.all(all.slice(1).map(({ client }) => client.logout()))
  await until('the cut', () => guard.health().problem !== undefined)
  assert.equal(guard.health().position, position)
  line.mend()
  await until('the rest', async () => (await Promise.all(sent.map(verdict))).every((one) => one === 'session_ended'))
  assert.ok(guard.health().reconnects > 0)
})

story('a server that is started again is followed on', async (use) => {
  const server = await running(use)
  const { guard, verdict } = await guarding(use, { server: server.url })
  const [one, two] = [await signedIn(server, 'one'), await signedIn(server, 'two')]
  const [first, second] = [one.sends(), two.sends()]
  await one.client.logout()
  await server.restart('SIGKILL')
  await two.client.logout()
  await until('both', async () => (await verdict(first)) === 'session_ended' && (await verdict(second)) === 'session_ended')
  assert.ok(guard.health().problem === undefined || guard.health().reconnects > 0)
})

story('a guard that has heard nothing for too long refuses, or goes on, as it was told', async (use) => {
  const server = await running(use)
  const line = use(await cable(server.url))
  const strict = await guarding(use, { server: line.url, staleAfter: 1 })
  const lenient = await guarding(use, { server: line.url, staleAfter: 1, whenStale: 'accept-until-expiry' })
  const [here, gone] = [await signedIn(server, 'here'), await signedIn(server, 'gone')]
  const [good, ended] = [here.sends(), gone.sends()]
  await gone.client.logout()
  for (const { verdict } of [strict, lenient]) {
    await until('the logout', async () => (await verdict(ended)) === 'session_ended')
  }
  line.cut()
  await until('the silence', async () => (await strict.verdict(good)) === 'unavailable')
  assert.equal(await strict.verdict(ended), 'session_ended')
  assert.equal(await lenient.verdict(good), 'ok')
  line.mend()
  await until('the voice', async () => (await strict.verdict(good)) === 'ok')
})

story('where there is no room for a revocation, a miss is no answer', async (use) => {
  const server = await running(use)
  const { guard, verdict } = await guarding(use, { server: server.url, maxRevocations: 1 })
  const [here, one, two] = [await signedIn(server, 'here'), await signedIn(server, 'one'), await signedIn(server, 'two')]
  const [good, first, second] = [here.sends(), one.sends(), two.sends()]
  await one.client.logout()
  await until('the first logout', async () => (await verdict(first)) === 'session_ended')
  assert.equal(await verdict(good), 'ok')
  await two.client.logout()
  await until('the second logout', async () => (await verdict(second)) === 'unavailable')
  assert.deepEqual([await verdict(good), await verdict(first)], ['unavailable', 'session_ended'])
  assert.equal(guard.health().revocations, 1)
  await assert.rejects(createGuard({ server: server.url, feedSecret: FEED, maxRevocations: 1 }), /maxRevocations/)
})

story('j39_new_keys_are_fetched_as_the_feed_names_them', async (use) => {
  const server = await running(use)
  const { guard, verdict } = await guarding(use, { server: server.url })
  const { sends } = await signedIn(server)
  server.run('key', 'rotate')
  // Not before the cool-down of ten seconds is over, since they have just been fetched.
  await until('the new key', () => guard.health().keys === 2, 30)
  assert.equal(await verdict(sends()), 'ok')
})

story('a wrong secret is told at the start', async (use) => {
  const server = await running(use)
  const feedSecret = 'another one of the same length: 471194'
  await assert.rejects(createGuard({ server: server.url, feedSecret }), /answered 401/)
})

story('a session that was good stays so while its server cannot be asked, until the guard is stale', async (use) => {
  const server = await running(use)
  const line = use(await cable(server.url))
  const { client_id: id, client_secret: secret } = JSON.parse(server.run('client', 'create', '--name', 'Shop', '--json'))
  const { guard, verdict } = await guarding(use, { server: line.url, feedSecret: undefined, client: { id, secret } })
  const [here, gone] = [await sessionOf(server, 'here'), await sessionOf(server, 'gone')]
  assert.deepEqual([await verdict(here), await verdict(gone)], ['ok', 'ok'])
  await fetch(`${server.url}/logout`, { method: 'POST', headers: gone })
  await until('the logout', async () => (await verdict(gone)) === 'session_ended')
  line.cut()
  const { now } = performance
  let ahead = 0
  performance.now = () => now.call(performance) + ahead
  use({ stop: () => void (performance.now = now) })
  for (ahead = 6_000; ahead < 100_000; ahead += 6_000) {
    assert.deepEqual(await Promise.all([verdict(here), verdict(here), verdict(gone)]), ['ok', 'ok', 'session_ended'])
  }
  ahead = 200_000
  assert.equal(await verdict(here), 'unavailable')
  assert.ok(guard.health().staleFor > 120)
})

story('j43_a_guard_whose_clock_is_off_accepts_good_tokens_and_refuses_expired_ones', async (use) => {
  const server = await running(use, ['--set', 'access.ttl=3s'])
  const { now } = Date
  use({ stop: () => void (Date.now = now) })
  for (const off of [86_400_000, -86_400_000]) {
    Date.now = () => now() + off
    const { guard, verdict } = await guarding(use, { server: server.url })
    const { client, sends } = await signedIn(server, off > 0 ? 'ahead' : 'behind')
    const before = sends()
    assert.equal(await verdict(before), 'ok')
    assert.ok(Math.abs(guard.health().clockAhead * 1000 - off) < 5_000, `${guard.health().clockAhead}`)
    await until('the end of the token', async () => (await verdict(before)) === 'token_expired')
    await client.refresh()
    assert.equal(await verdict(sends()), 'ok')
  }
})

story('a guard whose machine slept has no answer before it hears again', async (use) => {
  const server = await running(use)
  const line = use(await cable(server.url))
  const { guard, verdict } = await guarding(use, { server: line.url })
  const { sends } = await signedIn(server)
  assert.equal(await verdict(sends()), 'ok')
  line.cut()
  const { now } = Date
  use({ stop: () => void (Date.now = now) })
  // Its steady clock stood still meanwhile.
  Date.now = () => now() + 121_000
  assert.equal(await verdict(sends()), 'unavailable')
  line.mend()
  await until('a word', async () => (await verdict(sends())) === 'ok')
  assert.equal(guard.health().problem, undefined)
})

story('x03_of_several_sessions_one_live_one_counts_and_two_are_ambiguous', async (use) => {
  const server = await running(use)
  const { client_id: id, client_secret: secret } = JSON.parse(server.run('client', 'create', '--name', 'Shop', '--json'))
  const { verdict } = await guarding(use, { server: server.url, feedSecret: undefined, client: { id, secret } })
  const [one, two] = [await sessionOf(server, 'one'), await sessionOf(server, 'two')]
  const nobody = { cookie: `sessionId=${'x'.repeat(42)}A` }
  const together = (...all) => ({ cookie: all.map(({ cookie }) => cookie).join('; ') })
  assert.equal(await verdict(together(nobody, one)), 'ok')
  assert.equal(await verdict(together(one, nobody, two)), 'ambiguous_cookies')
  await fetch(`${server.url}/logout`, { method: 'POST', headers: two })
  await until('the way out', async () => (await verdict(together(two, one))) === 'ok')
  assert.equal(await verdict(together(two, nobody)), 'session_ended')
})
