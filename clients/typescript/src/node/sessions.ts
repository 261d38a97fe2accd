import { createHash } from 'node:crypto'

import type { Token } from './token.js'

/** How long an answer is believed, and how many are remembered. Revocations are looked at beside it. */
const REMEMBERED = 5_000
const MAX = 10_000
const ANSWER = 5_000

type Known = Token | 'token_invalid'

/** Asks the server who holds a session secret (RFC 7662): once for all who ask, and not again for a few seconds. */
export class Sessions {
  #known = new Map<string, { until: number; asked: Promise<Known> }>()

  constructor(
    private readonly url: URL,
    private readonly authorization: string,
  ) {}

  /** If the server can't be asked, its last good answer stands; the guard says for how long. Rejects if there is none. */
  find(secret: string): Promise<Known> {
    const hash = hashOf(secret)
    const known = this.#known.get(hash)
    if (known && performance.now() < known.until) return known.asked
    const asked = this.#ask(secret).catch(async (error) => {
      const before = await known?.asked.catch(() => undefined)
      if (typeof before === 'object') return before
      if (this.#known.get(hash)?.asked === asked) this.#known.delete(hash)
      throw error
    })
    this.#known.delete(hash)
    this.#known.set(hash, { until: performance.now() + REMEMBERED, asked })
    const [oldest] = this.#known.keys()
    if (this.#known.size > MAX && oldest !== undefined) this.#known.delete(oldest)
    return asked
  }

  /** Asks again the next time. */
  forget(secret: string): void {
    this.#known.delete(hashOf(secret))
  }

  async #ask(secret: string): Promise<Known> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { authorization: this.authorization },
      body: new URLSearchParams({ token: secret, token_type_hint: 'session_secret' }),
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER),
    })
    if (!response.ok) throw new Error(`${this.url} answered ${response.status}`)
    const said = (await response.json()) as Said
    // A token in the place of a session secret is none.
    if (!said.active || said.token_type !== 'session_secret') return 'token_invalid'
    return { user: said.sub, session: said.sid, role: said.role, issuedAt: said.iat, expiresAt: said.exp }
  }
}

/** Only the hash is kept: whoever reads this memory finds no credential. */
const hashOf = (secret: string) => createHash('sha256').update(secret).digest('base64url')

interface Said {
  active: boolean
  token_type: string
  sub: string
  sid: string
  role: string
  iat: number
  exp: number
}
