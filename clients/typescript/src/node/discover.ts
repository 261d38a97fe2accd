import { setTimeout as sleep } from 'node:timers/promises'

import { read } from './body.js'
import type { CookieNames } from './credential.js'

/** What a guard learns from its server. */
export interface Learnt {
  issuer?: string
  audience?: string
  cookies?: Partial<CookieNames>
}

const ANSWER = 5_000
const WAIT = 250

/**
 * Asks the server what it is called. It is waited for until `deadline` in case it isn't up yet; then the error names its
 * URL and why it can't be asked.
 */
export async function discover(base: URL, deadline: number): Promise<Learnt> {
  const url = new URL('.well-known/doorward', base)
  for (;;) {
    try {
      const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(ANSWER) })
      // A server from before this guard says nothing of itself.
      return response.status === 404 ? {} : learnt(JSON.parse(await read(response)))
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`No Doorward answers at ${base}: ${reason(error)}`, { cause: error })
    }
    await sleep(WAIT)
  }
}

function learnt(said: { issuer?: unknown; audience?: unknown; cookies?: Record<string, unknown> }): Learnt {
  const text = (value: unknown) => (typeof value === 'string' && value ? value : undefined)
  const { token, session, refresh, device, same_site } = said.cookies ?? {}
  const named = Object.entries({ token, session, refresh, device }).filter(([, name]) => text(name))
  const cookies: Partial<CookieNames> = { ...Object.fromEntries(named), lax: same_site === 'lax' }
  return { issuer: text(said.issuer), audience: text(said.audience), cookies }
}

/** The cause of a failed fetch says more than the error itself. */
function reason(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? cause.message || String((cause as { code?: string }).code) : message
}
