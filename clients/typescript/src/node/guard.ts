import type { IncomingMessage } from 'node:http'

import type { JWK } from 'jose'

import { express, fastify } from './adapters.js'
import type { Refusal } from './answer.js'
import { ServerClock } from './clock.js'
import { type CookieNames, type Incoming, credentials, strip } from './credential.js'
import { discover } from './discover.js'
import { Feed } from './feed.js'
import type { Identity, Needs } from './identity.js'
import { type Keys, RemoteKeys, ofJwks, ofSecret } from './keys.js'
import { Revocations } from './revocations.js'
import { type Answer, Sessions } from './sessions.js'
import { type Expected, type Token, type Verdict, verify } from './token.js'

export interface GuardOptions {
  /** The URL of the Doorward server: users, keys and revocations come from there. */
  server?: string
  /** The secret that the server signs with, if it has a JWT_SECRET. */
  secret?: string | Uint8Array
  /** Its public keys, if they should not be fetched. */
  jwks?: { keys: JWK[] }
  /** A registered client: follows the revocations, and accepts session cookies. */
  client?: { id: string; secret: string }
  /** The feed's secret: follows the revocations. */
  feedSecret?: string
  /** Ignores logouts: tokens are accepted until they expire. */
  withoutRevocations?: boolean
  /** What to do after `staleAfter` without a sign of the server: answer 503, or accept tokens until they expire. */
  whenStale?: 'refuse' | 'accept-until-expiry'
  /** In seconds, more than the 5 between two heartbeats of the server; the default is 120. */
  staleAfter?: number
  /** The `iss` of tokens, if it should not be learnt from the server. */
  issuer?: string
  /** Their `aud`, likewise. */
  audience?: string
  /** The longest life of a token, in seconds; the default is a day. */
  maxTtl?: number
  /** The names of the cookies, if they should not be learnt from the server. */
  cookies?: Partial<CookieNames>
  /** The permissions that each role grants in this application. */
  roles?: Record<string, string[]>
  /** How many sessions and users are remembered; the default is a million each. */
  maxRevocations?: number
  /** Allows http: to a server that is not on this machine. */
  plainHttp?: boolean
  /**
   * The time, in milliseconds since 1970, for tests. The default is the server's time as the feed says it, and without a
   * feed this machine's clock.
   */
  now?: () => number
}

/** The state of a guard, for metrics and health checks. */
export interface Health {
  keys: number
  revocations: number
  /** The position in the feed. */
  position?: string
  /** How many seconds ago the server was last heard; 0 if the guard depends on no server. */
  staleFor: number
  reconnects: number
  /** How many seconds this machine's clock is ahead of the server's, which counts; 0 if the server's is not known. */
  clockAhead: number
  problem?: string
}

const COOKIES = { token: '__Host-token', session: '__Host-sessionId', refresh: '__Host-refresh_token', device: '__Host-device', lax: false }
const MEMO = 8_192
const MEMO_TOKEN = 1_024
/** The one spelling of 32 bytes. */
const SECRET = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const START = 10_000
const SWEEP = 60_000

/** Checks requests: keys and revocations are in memory. */
export class Guard {
  #expected: Expected
  #cookies: CookieNames
  readonly #revocations: Revocations
  readonly #options: GuardOptions
  readonly #clock: ServerClock
  #static: Keys = new Map()
  #remote?: RemoteKeys
  #feed?: Feed
  #sessions?: Sessions
  #sweeping?: NodeJS.Timeout
  #fingerprint?: string
  /** The tokens verified with these keys. */
  #memo = { keys: this.#static, tokens: new Map<string, Token>() }

  private constructor(options: GuardOptions) {
    for (const name of ['staleAfter', 'maxTtl', 'maxRevocations'] as const) {
      if (!((options[name] ?? 1) > 0)) throw new TypeError(`${name}: a number above 0`)
    }
    this.#options = options
    this.#clock = new ServerClock((options.staleAfter ?? 120) * 1000)
    this.#cookies = { ...COOKIES, ...options.cookies }
    this.#revocations = new Revocations(options.maxRevocations ?? 1_000_000)
    this.#expected = expected(options.issuer, options.audience, options.maxTtl)
  }

  /** A guard that has its keys, and knows every revocation up to now. */
  static async build(options: GuardOptions): Promise<Guard> {
    const guard = new Guard(options)
    await guard.#start(options).catch((error: unknown) => {
      guard.close()
      throw error
    })
    return guard
  }

  async #start({ server, secret, jwks, client, feedSecret, withoutRevocations }: GuardOptions) {
    if (secret && jwks) throw new TypeError('Give secret or jwks: symmetric and public keys do not go into one set')
    if (secret) this.#static = ofSecret(secret)
    if (jwks) this.#static = await ofJwks(jwks)
    if (!server) {
      if (!secret && !jwks) throw new TypeError('Give server, secret or jwks: without keys no token can be verified')
      return
    }
    const base = baseOf(server, this.#options.plainHttp)
    const { issuer, audience, cookies } = await discover(base, performance.now() + START)
    const options = this.#options
    this.#expected = expected(options.issuer ?? issuer, options.audience ?? audience, options.maxTtl)
    this.#cookies = { ...COOKIES, ...cookies, ...options.cookies }
    const basic = client && `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
    const authorization = basic ?? (feedSecret && `Bearer ${feedSecret}`)
    if (basic) this.#sessions = new Sessions(new URL('introspect', base), basic)
    if (!authorization && !withoutRevocations) {
      throw new TypeError('Give client or feedSecret to hear of logouts, or say withoutRevocations: true')
    }
    if (authorization && !withoutRevocations) {
      const keysAre = (fingerprint: string) => void this.#keysAre(fingerprint)
      this.#feed = new Feed(new URL('revocations', base), authorization, this.#revocations, this.#clock, keysAre)
      this.#sweeping = setInterval(() => this.#feed?.sweep(), SWEEP).unref()
      await this.#feed.start(START)
    }
    if (secret || jwks) return
    // Fetched after the feed, so that the keys are no older than what the feed said of them.
    this.#remote = new RemoteKeys(new URL('.well-known/jwks.json', base))
    await this.#remote.start()
    const hint = `${server} publishes no key: it has a JWT_SECRET, which secret has to be`
    if (!this.#remote.keys.size) throw new TypeError(hint)
  }

  /** Stops the background tasks. */
  close(): void {
    this.#feed?.stop()
    this.#remote?.stop()
    clearInterval(this.#sweeping)
  }

  /** Who sent the request, or why it is refused. */
  async check(request: Incoming): Promise<Identity | Refusal> {
    const found = credentials(request, this.#cookies)
    if (typeof found === 'string') return found
    const secrets = found.flatMap((one) => (one.mode === 'session' ? one.secret : []))
    const tokens = found.map((one) => (one.mode === 'session' ? [] : this.#ofToken(one.token, one.mode)))
    const [sessions, ...others] = await Promise.all([secrets.length ? this.#ofSessions(secrets) : [], ...tokens.flat()])
    return theOne([...others, ...sessions])
  }

  /**
   * Removes the cookies of refresh token and device from a request: only the server needs them. The hooks do this by
   * themselves.
   */
  strip(request: IncomingMessage): void {
    for (const name of [this.#cookies.refresh, this.#cookies.device]) strip(request, name)
  }

  /** For Express, Connect and Node's own server: refuses the request, or sets `request.identity`. */
  express(needs: Needs = {}): ReturnType<typeof express> {
    return express(this, needs)
  }

  /** For Fastify, as an `onRequest` hook: refuses the request, or sets `request.identity`. */
  fastify(needs: Needs = {}): ReturnType<typeof fastify> {
    return fastify(this, needs)
  }

  /** Whether a role grants a permission, by `roles`. */
  grants(role: string, permission: string): boolean {
    const { roles = {} } = this.#options
    return Object.hasOwn(roles, role) && roles[role]!.includes(permission)
  }

  health(): Health {
    const { position, reconnects = 0, problem } = this.#feed ?? {}
    const { staleFor = 0 } = this.#feed ?? this.#remote ?? {}
    const keys = (this.#remote?.keys ?? this.#static).size
    const [revocations, clockAhead] = [this.#revocations.size, this.#clock.ahead / 1000]
    return { keys, revocations, position, staleFor: staleFor / 1000, reconnects, clockAhead, problem }
  }

  #now() {
    return Math.floor((this.#options.now?.() ?? this.#clock.now()) / 1000)
  }

  /** Whether the server was last heard too long ago. */
  #isSilent() {
    const after = (this.#options.staleAfter ?? 120) * 1000
    // Without a feed, the keys at least must be current.
    const { staleFor = 0 } = this.#feed ?? this.#remote ?? {}
    return staleFor > after
  }

  /** Whether memory can't answer. */
  #isStale() {
    return !this.#revocations.covers(0) || this.#isSilent()
  }

  async #ofToken(token: string, mode: 'bearer' | 'cookie'): Promise<Identity | Refusal> {
    const verified = await this.#verify(token)
    if (typeof verified === 'string') return verified
    const standing = this.#revocations.check(verified.user, verified.session, verified.claimsVersion)
    if (standing !== 'good') return standing
    // A server that says that entries are missing isn't silent: that is never accepted.
    if (!this.#revocations.covers((verified.expiresAt - this.#now()) * 1000)) return 'unavailable'
    if (this.#isSilent() && this.#options.whenStale !== 'accept-until-expiry') return 'unavailable'
    return { ...verified, mode }
  }

  async #verify(token: string): Promise<Token | Refusal> {
    let verdict = await this.#remember(token)
    if (verdict === 'unknown_key' && this.#remote) {
      const isKnowable = await this.#remote.again().then(() => true, () => false)
      if (!isKnowable) return 'unavailable'
      verdict = await this.#remember(token)
    }
    return verdict === 'unknown_key' ? 'token_invalid' : verdict
  }

  /** Only verified tokens are remembered, together with their keys, and never past their end. */
  async #remember(token: string): Promise<Verdict> {
    const keys = this.#remote?.keys ?? this.#static
    if (this.#memo.keys !== keys) this.#memo = { keys, tokens: new Map() }
    const { tokens } = this.#memo
    const now = this.#now()
    const known = tokens.get(token)
    if (known) return now < known.expiresAt ? known : 'token_expired'
    const verdict = await verify(token, keys, this.#expected, now)
    if (typeof verdict !== 'string' && token.length <= MEMO_TOKEN) {
      const [oldest] = tokens.keys()
      if (tokens.size >= MEMO && oldest !== undefined) tokens.delete(oldest)
      tokens.set(token, verdict)
    }
    return verdict
  }

  /** The holders of these secrets, with at most one request for all that memory doesn't know. */
  async #ofSessions(secrets: string[]): Promise<(Identity | Refusal)[]> {
    const began = performance.now()
    const told = new Map<string, Identity | Refusal>()
    let open = this.#sessions ? secrets.filter((secret) => SECRET.test(secret)) : []
    for (const since of [-Infinity, began]) {
      const answers = await Promise.allSettled(open.length ? this.#sessions!.find(open, since) : [])
      open = open.filter((secret, n) => {
        const answer = answers[n]!
        const verdict = answer.status === 'fulfilled' ? this.#judge(answer.value, began) : 'unavailable'
        // The feed and the server may disagree about a user for a moment: don't guess.
        told.set(secret, verdict ?? 'unavailable')
        return !verdict
      })
    }
    return secrets.map((secret) => told.get(secret) ?? 'token_invalid')
  }

  /** `undefined` if memory is not enough. */
  #judge({ at, said }: Answer, began: number): Identity | Refusal | undefined {
    if (typeof said === 'string') return said
    const standing = this.#revocations.check(said.user, said.session, said.claimsVersion)
    if (standing === 'session_ended') return standing
    if (this.#now() >= said.expiresAt) return 'session_expired'
    // What the server has said just now is enough, even if not every revocation is known. An answer from before the
    // user's last change is not: the session may have ended, or have another secret.
    const isEnough = standing === 'good' && (at >= began || !this.#isStale())
    return isEnough ? { ...said, mode: 'session' } : undefined
  }

  /**
   * The server names its keys: if they changed, they are fetched. Within the cool-down, its next heartbeat tries again.
   */
  async #keysAre(fingerprint: string) {
    const known = this.#fingerprint ?? fingerprint
    const hasCome = known === fingerprint || (await this.#remote?.again().catch(() => false))
    if (hasCome) this.#fingerprint = fingerprint
  }
}

/** The first refusal that a client can act on is more useful than the next one. */
const BY_HOPE = ['unavailable', 'token_expired', 'token_stale', 'session_expired', 'session_ended'] as const

/**
 * Picks the cookie that counts: there must be exactly one live session. Dead or made-up cookies are ignored (attacks
 * X02, X03). A cookie that cannot be checked may be a second live one, so it refuses the request.
 */
function theOne(verdicts: (Identity | Refusal)[]): Identity | Refusal {
  if (verdicts.includes('unavailable')) return 'unavailable'
  const live = verdicts.filter((verdict) => typeof verdict !== 'string')
  const [one] = live
  if (!one) return BY_HOPE.find((code) => verdicts.includes(code)) ?? 'token_invalid'
  return live.every(({ session }) => session === one.session) ? one : 'ambiguous_cookies'
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

function baseOf(server: string, plainHttp?: boolean) {
  const base = new URL(server.replace(/\/*$/, '/'))
  if (base.username || base.password || base.search || base.hash) {
    throw new TypeError(`server: scheme, host and port, and nothing else but a base path`)
  }
  if (base.protocol !== 'https:' && !LOOPBACK.test(base.hostname) && !plainHttp) {
    throw new TypeError(`${server}: keys that come by plain http can be anybody's; use https, or say plainHttp: true`)
  }
  return base
}

function expected(issuer = 'doorward', audience = 'doorward', maxTtl = 86_400): Expected {
  const told = new Set<string>()
  // Of a token whose signature is good, so that no stranger writes into the log.
  const differs = (claim: string, found: string | undefined, wanted: string) => {
    if (told.has(claim)) return
    told.add(claim)
    console.warn(`doorward: refused a token: ${claim} is ${JSON.stringify(found?.slice(0, 200))}, expected ${JSON.stringify(wanted)}`)
  }
  return { issuer, audience, maxTtl, differs }
}
