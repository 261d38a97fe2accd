// The shared tables of feeds and of times: this guard reads from each what the one in Rust reads, and refuses the same.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createGuard } from 'doorward/node'
import { until, using } from './support.mjs'

const table = JSON.parse(readFileSync(new URL('../../../tests/verdicts/feed.json', import.meta.url)))
const BEGIN = 'event: reset\ndata: {}\n\nevent: current\nid: e-0\ndata: {}\n\n'
const { sid } = JSON.parse(Buffer.from(table.tokens.end.split('.')[1], 'base64url'))
const END = `event: revoked\ndata: {"sessions":[["${sid}",60]]}\n\n`

/** A feed that says these, each on a connection of its own. It ends all but the last; later clients hear nothing. */
async function feed(...streams) {
  const followers = []
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === '/.well-known/doorward') return outgoing.end('{}')
    const stream = streams[followers.push(outgoing) - 1]
    if (stream === undefined) return
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' }).write(stream)
    if (followers.length < streams.length) outgoing.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    say: (text) => followers[0].write(text),
    stop: () => (server.closeAllConnections(), server.close()),
  }
}

test('the guard takes from a feed what the table says', { timeout: 120_000 }, async () => {
  assert.ok(table.rows.length > 100)
  for (const { name, stream, verdicts, position, unreadable } of table.rows) {
    await using(async (use) => {
      const server = use(await feed(BEGIN))
      const { secret, now } = table
      const guard = await createGuard({ server: server.url, secret, feedSecret: 'of the test', now: () => now * 1000 })
      use({ stop: () => guard.close() })
      const verdict = async (token) => {
        const found = await guard.check({ headers: new Headers({ authorization: `Bearer ${table.tokens[token]}` }) })
        return typeof found === 'string' ? found : 'ok'
      }
      server.say(stream + END)
      if (unreadable) await until(`the cut by ${name}`, () => guard.health().problem !== undefined)
      else await until(`the end of ${name}`, async () => (await verdict('end')) === 'session_ended')
      if (unreadable) assert.equal(await verdict('end'), 'ok', name)
      assert.deepEqual(await Promise.all(['ada_5', 'ada_7', 'carol_0'].map(verdict)), verdicts, name)
      assert.equal(guard.health().position ?? null, position, name)
    })
  }
})

test('the guard judges by the time that the table says', { timeout: 120_000 }, async () => {
  const { rows, tokens, secret } = JSON.parse(readFileSync(new URL('../../../tests/verdicts/time.json', import.meta.url)))
  assert.ok(rows.length > 25)
  const { sid } = JSON.parse(Buffer.from(tokens.end.split('.')[1], 'base64url'))
  const end = `event: revoked\ndata: {"sessions":[["${sid}",60]]}\n\n`
  const check = ({ name, connections, verdicts, cut = false }) =>
    using(async (use) => {
      const streams = [...connections]
      streams[0] = `event: reset\ndata: {}\n\n${streams[0]}`
      streams.push(streams.pop() + end)
      const server = use(await feed(...streams))
      const guard = await createGuard({ server: server.url, secret, feedSecret: 'of the test' })
      use({ stop: () => guard.close() })
      if (cut) await until(`the cut by ${name}`, () => guard.health().problem !== undefined)
      else await until(`the end of ${name}`, () => guard.health().revocations === 1)
      const found = ['live', 'expired', 'later'].map(async (token) => {
        const verdict = await guard.check({ headers: new Headers({ authorization: `Bearer ${tokens[token]}` }) })
        return typeof verdict === 'string' ? verdict : 'ok'
      })
      assert.deepEqual([...(await Promise.all(found)), guard.health().revocations], [...verdicts, cut ? 0 : 1], name)
    })
  await Promise.all(rows.map(check))
})

test('a guard whose server lacks revocations accepts only tokens that none of them concerns', { timeout: 60_000 }, async () => {
  const { secret, now, tokens } = table
  // A guard that accepts tokens of a silent server is no exception: this one isn't silent.
  const cases = ['refuse', 'accept-until-expiry'].flatMap((whenStale) => [[whenStale, 60, 'ok'], [whenStale, 100_000, 'unavailable']])
  for (const [whenStale, missing, verdict] of cases) {
    await using(async (use) => {
      const server = use(await feed(BEGIN))
      const guard = await createGuard({ server: server.url, secret, feedSecret: 'of the test', whenStale, now: () => now * 1000 })
      use({ stop: () => guard.close() })
      server.say(`event: revoked\ndata: {"missing":${missing}}\n\n${END}`)
      const ask = (token) => guard.check({ headers: new Headers({ authorization: `Bearer ${tokens[token]}` }) })
      await until('the end', async () => (await ask('end')) === 'session_ended')
      const found = await ask('ada_5')
      assert.equal(typeof found === 'string' ? found : 'ok', verdict)
    })
  }
})
