/**
 * For how long an origin that refused a new token as well gets no other one, in milliseconds; each time twice as long.
 * A changed role may change again between a refresh and its request, so `token_stale` waits less.
 */
const PAUSE = 60_000
const PAUSE_STALE = 1_000
const MAX_PAUSE = 3_600_000

/** The origins that get the credential, and those for which a refresh changed nothing. */
export class Origins {
  #trusted: Set<string>
  #useless = new Map<string, { pause: number; until: number }>()

  constructor(urls: string[]) {
    this.#trusted = new Set(urls.map((url) => new URL(url).origin))
    // A page without an origin trusts nobody like it.
    this.#trusted.delete('null')
  }

  trusts(origin: string): boolean {
    return this.#trusted.has(origin)
  }

  /** Whether another token may help with this origin. */
  mayHelp(origin: string): boolean {
    return performance.now() >= (this.#useless.get(origin)?.until ?? 0)
  }

  /**
   * Remembers what an origin said after a refresh. One that still refuses gets no other for a while; gives true where it is
   * the first time.
   */
  learn(code: string, origin: string): boolean {
    const { pause, until } = this.#useless.get(origin) ?? { pause: -1, until: 0 }
    if (!isAboutToken(code)) {
      if (until) this.#useless.set(origin, { pause: 0, until: 0 })
      return false
    }
    if (performance.now() < until) return false
    const first = code === 'token_stale' ? PAUSE_STALE : PAUSE
    const next = pause > 0 ? Math.min(pause * 2, MAX_PAUSE) : first
    this.#useless.set(origin, { pause: next, until: performance.now() + next })
    return pause < 0
  }

  /** After a sign-in every origin is asked as if for the first time. */
  tryAll(): void {
    for (const one of this.#useless.values()) one.until = 0
  }
}

export const isAboutToken = (code: string): boolean => code === 'hidden' || code.startsWith('token_')
