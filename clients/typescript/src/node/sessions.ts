import { createHash } from 'node:crypto'

import { read } from './body.js'
import { ID, ROLE, type Token } from './token.js'

/** How long an answer counts, and how many are remembered. Revocations are checked as well. */
const REMEMBERED = 5_000
const MAX = 10_000
const ANSWER = 5_000
/** How many requests may run, and how many may wait for their turn, so that guesses cost the server no more. */
const QUESTIONS = 32
const WAITING = 256

/** A live session, or why its secret is refused. */
type Known = Token | Dead
type Dead = (typeof DEAD)[number]
const DEAD = ['token_invalid', 'token_stale', 'session_ended', 'session_expired'] as const

/** The server's answer about a secret, and when it was asked. */
export interface Answer {
  at: number
  said: Known
}

/**
 * Asks the server for the holders of session secrets (RFC 7662): once for all callers, and not again for a few seconds.
 */
export class Sessions {
  #known = new Map<string, { at: number; answer: Promise<Answer> }>()
  /** The last answer about each secret of a live session. */
  #good = new Map<string, Answer>()
  #underWay = 0
  #waiting: (() => void)[] = []

  constructor(
    private readonly url: URL,
    private readonly authorization: string,
  ) {}

  /**
   * The answer about each secret, asked at `since` or later; one request for all that are not remembered. If the server
   * can't be reached, its last good answer counts; the guard decides for how long. Rejects if there is none.
   */
  find(secrets: string[], since = -Infinity): Promise<Answer>[] {
    const at = performance.now()
    const known = secrets.map((secret) => this.#known.get(hashOf(secret)))
    const isLeft = secrets.map((_, n) => !known[n] || at >= known[n].at + REMEMBERED || known[n].at < since)
    const asked = secrets.filter((_, n) => isLeft[n])
    const answers = asked.length ? this.#ask(asked) : undefined
    return secrets.map((secret, n) => {
      if (!isLeft[n]) return known[n]!.answer
      const said = answers!.then((all) => all[asked.indexOf(secret)]!)
      return this.#remember(hashOf(secret), at, said)
    })
  }

  #remember(hash: string, at: number, said: Promise<Known>): Promise<Answer> {
    const good = (said: Known) => {
      const answer = { at, said }
      if (typeof said === 'string') this.#good.delete(hash)
      else put(this.#good, hash, answer)
      return answer
    }
    const failed = (error: unknown) => {
      const last = this.#good.get(hash)
      if (last) return last
      if (this.#known.get(hash)?.answer === answer) this.#known.delete(hash)
      throw error
    }
    const answer = said.then(good, failed)
    put(this.#known, hash, { at, answer })
    return answer
  }

  async #ask(secrets: string[]): Promise<Known[]> {
    if (this.#underWay >= QUESTIONS && this.#waiting.length >= WAITING) throw new Error('too many questions wait')
    // Includes the wait for a turn.
    const signal = AbortSignal.timeout(ANSWER)
    await this.#turn()
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: { authorization: this.authorization },
        body: new URLSearchParams({ tokens: secrets.join(' ') }),
        redirect: 'error',
        signal,
      })
      const said = JSON.parse(await read(response))
      const each: Said[] = said.tokens
      if (each.length !== secrets.length) throw new Error('an answer about a session is missing')
      return each.map(known)
    } finally {
      this.#next()
    }
  }

  async #turn() {
    if (this.#underWay >= QUESTIONS) return new Promise<void>((begin) => this.#waiting.push(begin))
    this.#underWay += 1
  }

  #next() {
    const begin = this.#waiting.shift()
    if (begin) begin()
    else this.#underWay -= 1
  }
}

/** Stores it, in place of the oldest if there is no room. */
function put<T>(map: Map<string, T>, name: string, one: T) {
  map.delete(name)
  map.set(name, one)
  const [oldest] = map.keys()
  if (map.size > MAX && oldest !== undefined) map.delete(oldest)
}

function known({ active, code, token_type, sub, sid, role, ver = 0, auth_time = 0, amr = [], iat, exp }: Said): Known {
  if (active === false) return DEAD.find((why) => why === code) ?? 'token_invalid'
  const isWhole = ID.test(sub) && ID.test(sid) && ROLE.test(role) && [ver, auth_time, iat, exp].every(Number.isSafeInteger) && Array.isArray(amr)
  if (active !== true || !isWhole) throw new Error('the answer about a session cannot be read')
  // An answer about a token is not one about a session secret.
  if (token_type !== 'session_secret') return 'token_invalid'
  return { user: sub, session: sid, role, claimsVersion: ver, authenticatedAt: auth_time, amr, issuedAt: iat, expiresAt: exp }
}

/** Only the hash is kept, so this memory contains no credential. */
const hashOf = (secret: string) => createHash('sha256').update(secret).digest('base64url')

interface Said {
  active: boolean
  code?: string
  token_type: string
  sub: string
  sid: string
  role: string
  ver?: number
  auth_time?: number
  amr?: string[]
  iat: number
  exp: number
}
