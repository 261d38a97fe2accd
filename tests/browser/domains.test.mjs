// Cookies that another deployment, or another cookie.domain, left in a browser. None causes a redirect loop, shows
// another account, or prevents signing out and in again.

import { after, test } from 'node:test'
import { ACCOUNTS, BROWSER, TLS, calm, inAgain, out } from './domains.mjs'
import { close, tell } from './support.mjs'

after(close)

test('two deployments on a domain and one below it', { timeout: 240_000 }, () =>
  tell(TLS(ACCOUNTS, 'cookie.domain=example.test'), ({ server: parent, visit }) =>
    tell(TLS('accounts.staging.example.test', 'cookie.domain=staging.example.test'), async ({ server: child }) => {
      parent.user('Ada')
      child.user('Mallory')
      for (const order of [[[parent, 'Ada'], [child, 'Mallory']], [[child, 'Mallory'], [parent, 'Ada']]]) {
        const page = await visit(BROWSER)
        for (const [server, name] of order) await inAgain(page, server.url, name, 'the first time')
        for (const [server, name] of order) await calm(page, server.url, [name], 'signed in to both')
        for (const [server, name] of order) {
          await out(page, server.url, name)
          await calm(page, server.url, [], 'signed out')
          await inAgain(page, server.url, name, name)
        }
        for (const [server, name] of order) await calm(page, server.url, [name], 'signed in again')
      }
    }),
  ),
)

const DOMAINS = ['', 'example.test', ACCOUNTS]
for (const from of DOMAINS) {
  for (const to of DOMAINS.filter((to) => to !== from)) {
    test(`cookie.domain was ${from || 'not set'} and is ${to || 'not set'}`, { timeout: 120_000 }, () =>
      tell(TLS(ACCOUNTS, `cookie.domain=${from}`), async ({ server, visit }) => {
        server.user('Ada')
        const page = await visit(BROWSER)
        await inAgain(page, server.url, 'Ada', 'before')
        const other = await visit(BROWSER)
        await inAgain(other, server.url, 'Ada', 'before')
        await server.restart(`cookie.domain=${to}`)
        await calm(page, server.url, ['Ada'], 'after')
        await inAgain(page, server.url, 'Ada', 'after')
        await calm(page, server.url, ['Ada'], 'in again')
        await out(page, server.url, 'after')
        await inAgain(page, server.url, 'Ada', 'after')
        // And back, with the cookies of both.
        await server.restart(`cookie.domain=${from}`)
        for (const each of [page, other]) {
          await calm(each, server.url, ['Ada'], 'back')
          await out(each, server.url, 'back')
          await calm(each, server.url, [], 'out')
          await inAgain(each, server.url, 'Ada', 'back')
        }
      }),
    )
  }
}
