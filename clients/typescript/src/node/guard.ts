import type { JWK } from 'jose'

import { type Needs, express, fastify } from './adapters.js'
import type { Refusal } from './answer.js'
import { type CookieNames, type Incoming, credential } from './credential.js'
import { Feed } from './feed.js'
import { type Keys, RemoteKeys, ofJwks, ofSecret } from './keys.js'
import { Revocations } from './revocations.js'
import { Sessions } from './sessions.js'
import { type Expected, type Token, type Verdict, verify } from './token.js'

/** What a checked request carries on to the handler; times in seconds since 1970. */
export interface Identity extends Token {
  /** How the credential came. */
  mode: 'bearer' | 'cookie' | 'session'
}

export interface GuardOptions {
  /** The URL of the Doorward whose users are let in: keys and revocations come from there. */
  server?: string
  /** The secret that the server signs with, where it has a JWT_SECRET. */
  secret?: string | Uint8Array
  /** Its public keys, where they are not to be fetched. */
  jwks?: { keys: JWK[] }
  /** A registered client: follows the revocations, and lets session cookies in. */
  client?: { id: string; secret: string }
  /** The feed's secret: follows the revocations. */
  feedSecret?: string
  /** Says that nobody tells this application of logouts: tokens are let in until they expire. */
  withoutRevocations?: boolean
  /** What happens after `staleAfter` without a word of the server: 503, or tokens are let in until they expire. */
  whenStale?: 'refuse' | 'accept-until-expiry'
  /** In seconds, more than the 5 between two words of the server; 120 where it is not given. */
  staleAfter?: number
  issuer?: string
  audience?: string
  /** The longest life of a token, in seconds; a day where it is not given. */
  maxTtl?: number
  cookies?: Partial<CookieNames>
  /** The permissions that each role grants in this application. */
  roles?: Record<string, string[]>
  /** How many sessions and users are remembered; a million each where it is not given. */
  maxRevocations?: number
  /** Allows http: to a server that is not on this machine. */
  plainHttp?: boolean
  /** The time, in milliseconds since 1970. */
  now?: () => number
}

/** How a guard is, for metrics and health checks. */
export interface Health {
  keys: number
  revocations: number
  /** How far the feed was read. */
  position?: string
  /** For how many seconds the server was not heard; 0 where it need not speak. */
  staleFor: number
  reconnects: number
  problem?: string
}

const MEMO = 8_192
const MEMO_TOKEN = 1_024
const SECRET = /^[A-Za-z0-9_-]{43}$/
const START = 10_000

/** Checks requests: keys and revocations are in memory. */
export class Guard {
  readonly #expected: Expected
  readonly #cookies: CookieNames
  readonly #revocations: Revocations
  readonly #options: GuardOptions
  #static: Keys = new Map()
  #remote?: RemoteKeys
  #feed?: Feed
  #sessions?: Sessions
  #sweeping?: NodeJS.Timeout
  #fingerprint?: string
  /** What was verified under these keys. */
  #memo = { keys: this.#static, tokens: new Map<string, Token>() }

  private constructor(options: GuardOptions) {
    this.#options = options
    this.#cookies = { token: '__Host-token', session: '__Host-sessionId', ...options.cookies }
    this.#revocations = new Revocations(options.maxRevocations ?? 1_000_000)
    const { issuer = issuerOf(options), audience = 'doorward', maxTtl = 86_400 } = options
    this.#expected = { issuer, audience, maxTtl }
  }

  /** A guard that has its keys, and knows every revocation of until now. */
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
    if (!secret && !jwks) {
      this.#remote = new RemoteKeys(new URL('.well-known/jwks.json', base))
      await this.#remote.start()
      const hint = `${server} publishes no key: it has a JWT_SECRET, which secret has to be`
      if (!this.#remote.keys.size) throw new TypeError(hint)
    }
    const basic = client && `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
    const authorization = basic ?? (feedSecret && `Bearer ${feedSecret}`)
    if (basic) this.#sessions = new Sessions(new URL('introspect', base), basic)
    if (authorization) {
      const keysAre = (fingerprint: string) => void this.#keysAre(fingerprint)
      this.#feed = new Feed(new URL('revocations', base), authorization, this.#revocations, keysAre)
      this.#sweeping = setInterval(() => this.#revocations.sweep(Date.now() / 1000), 60_000).unref()
      await this.#feed.start(START)
    } else if (!withoutRevocations) {
      throw new TypeError('Give client or feedSecret to hear of logouts, or say withoutRevocations: true')
    }
  }

  /** Ends what goes on in the background. */
  close(): void {
    this.#feed?.stop()
    clearInterval(this.#sweeping)
  }

  /** Who sent the request, or why they are refused. */
  async check(request: Incoming): Promise<Identity | Refusal> {
    const found = credential(request, this.#cookies)
    if (typeof found === 'string') return found
    const isSession = found.mode === 'session'
    let token = isSession ? await this.#ofSession(found.secret) : await this.#verify(found.token)
    for (let asked = 0; isSession && this.#standing(token) === 'token_stale'; asked += 1) {
      // A session has no role of its own to be out of date: what was remembered of it has.
      this.#sessions?.forget(found.secret)
      // The feed and the rest of the server may be of two minds for a moment: nobody guesses a role.
      if (asked === 1) return 'unavailable'
      token = await this.#ofSession(found.secret)
    }
    const standing = this.#standing(token)
    if (standing !== 'good' || typeof token === 'string') return standing as Refusal
    if (this.#isStale() && this.#options.whenStale !== 'accept-until-expiry') return 'unavailable'
    return { ...token, mode: found.mode }
  }

  /** For Express, Connect and Node's own server: refuses, or puts who it is into `request.identity`. */
  express(needs: Needs = {}): ReturnType<typeof express> {
    return express(this, needs)
  }

  /** For Fastify, as an `onRequest` hook: refuses, or puts who it is into `request.identity`. */
  fastify(needs: Needs = {}): ReturnType<typeof fastify> {
    return fastify(this, needs)
  }

  /** Whether a role grants a permission, by `roles`. */
  grants(role: string, permission: string): boolean {
    return this.#options.roles?.[role]?.includes(permission) ?? false
  }

  health(): Health {
    const { position, reconnects = 0, problem, staleFor = 0 } = this.#feed ?? {}
    const keys = (this.#remote?.keys ?? this.#static).size
    return { keys, revocations: this.#revocations.size, position, staleFor: staleFor / 1000, reconnects, problem }
  }

  #now() {
    return Math.floor((this.#options.now?.() ?? Date.now()) / 1000)
  }

  #isStale() {
    const after = (this.#options.staleAfter ?? 120) * 1000
    return this.#feed !== undefined && (this.#revocations.overflowed || this.#feed.staleFor > after)
  }

  #standing(token: Token | Refusal) {
    return typeof token === 'string' ? token : this.#revocations.check(token.user, token.session, token.role)
  }

  async #verify(token: string): Promise<Token | Refusal> {
    this.#remote?.look()
    let verdict = await this.#remember(token)
    if (verdict === 'unknown_key' && this.#remote) {
      await this.#remote.again()
      verdict = await this.#remember(token)
    }
    return verdict === 'unknown_key' ? 'token_invalid' : verdict
  }

  /** Only what was verified is remembered, under the keys that it was verified with, and never past its end. */
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

  async #ofSession(secret: string): Promise<Token | Refusal> {
    if (!SECRET.test(secret) || !this.#sessions) return 'token_invalid'
    const known = await this.#sessions.find(secret).catch(() => 'unavailable' as const)
    return typeof known === 'string' || this.#now() < known.expiresAt ? known : 'session_ended'
  }

  /** The server names its keys: others than before are fetched. Within the cool-down its next word asks again. */
  async #keysAre(fingerprint: string) {
    const known = this.#fingerprint ?? fingerprint
    if (known === fingerprint || (await this.#remote?.again())) this.#fingerprint = fingerprint
  }
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

function baseOf(server: string, plainHttp?: boolean) {
  const base = new URL(server.replace(/\/*$/, '/'))
  if (base.protocol !== 'https:' && !LOOPBACK.test(base.hostname) && !plainHttp) {
    throw new TypeError(`${server}: keys that come by plain http can be anybody's; use https, or say plainHttp: true`)
  }
  return base
}

/** A server's issuer is its URL; one on this machine has no such name in its tokens. */
function issuerOf({ server }: GuardOptions) {
  if (!server || LOOPBACK.test(new URL(server).hostname)) return 'doorward'
  return server.replace(/\/*$/, '')
}
