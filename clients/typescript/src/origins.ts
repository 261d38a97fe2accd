/**
 * How long an origin that also refused a new token gets no other one, in milliseconds; twice as long each time. A role
 * may change again between a refresh and its request, so the pause after `token_stale` is shorter.
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
    // A page without an origin trusts no other page without one.
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
   * Remembers an origin's answer after a refresh. An origin that still refuses gets no other token for a while; returns
   * true the first time.
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

  /** After a sign-in, every origin gets a token as if for the first time. */
  tryAll(): void {
    for (const one of this.#useless.values()) one.until = 0
  }
}

export const isAboutToken = (code: string): boolean => code === 'hidden' || code.startsWith('token_')
