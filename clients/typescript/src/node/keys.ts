import { createHmac } from 'node:crypto'
import { type CryptoKey, type JWK, calculateJwkThumbprint, importJWK } from 'jose'

import { read } from './body.js'

/** One key, for one algorithm. */
export interface Key {
  algorithm: string
  material: CryptoKey | Uint8Array
}

/** The keys that tokens may be signed with, by their ids. */
export type Keys = ReadonlyMap<string, Key>

const ALGORITHMS: Record<string, string> = { 'EC P-256': 'ES256', 'OKP Ed25519': 'EdDSA', 'RSA ': 'RS256' }
const MIN_RSA = 2048
const MAX_RSA = 8192
const KID = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/
const PRIVATE = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth']

/** The key of a secret that the server shares. */
export function ofSecret(secret: string | Uint8Array): Keys {
  const material = new Uint8Array(Buffer.from(secret as string))
  const isWeak = material.length < 32 || new Set(material).size < 8
  if (isWeak) throw new TypeError('secret: 32 bytes or more, 8 of them distinct, the same as JWT_SECRET of the server')
  const digest = createHmac('sha256', material).update('doorward 1 key id').digest()
  return new Map([[digest.subarray(0, 12).toString('base64url'), { algorithm: 'HS256', material }]])
}

/** Reads a JWK set (RFC 7517). One bad key refuses the whole set. */
export async function ofJwks(set: { keys?: JWK[] }): Promise<Keys> {
  if (!Array.isArray(set?.keys) || set.keys.length > 32) throw new TypeError('jwks: at most 32 keys in "keys"')
  const keys = new Map<string, Key>()
  for (const jwk of set.keys) {
    const algorithm = ALGORITHMS[`${jwk.kty} ${jwk.crv ?? ''}`]
    // Anyone with a symmetric or private key can make tokens, so a published set must not contain one.
    if (!algorithm || PRIVATE.some((name) => name in jwk)) throw new TypeError(`jwks: no public key of ours: ${jwk.kty}`)
    const { alg = algorithm, use = 'sig' } = jwk
    if (alg !== algorithm || use !== 'sig') throw new TypeError('jwks: alg or use is wrong')
    const kid = jwk.kid ?? (await calculateJwkThumbprint(jwk))
    if (!KID.test(kid)) throw new TypeError('jwks: a kid of 1 to 128 plain ASCII characters')
    if (keys.has(kid)) throw new TypeError(`jwks: two keys have the kid ${kid}`)
    const material = (await importJWK(jwk, algorithm)) as CryptoKey
    const { modulusLength = MIN_RSA } = material.algorithm as { modulusLength?: number }
    if (modulusLength < MIN_RSA || modulusLength > MAX_RSA) throw new TypeError('jwks: an RSA key of 2048 to 8192 bits')
    keys.set(kid, { algorithm, material })
  }
  return keys
}

/** The least time between two fetches for unknown keys, in milliseconds. */
const COOL_DOWN = 10_000
const ANSWER = 5_000
/** How long keys are kept if the server doesn't say, and the least and most that it may say, in seconds. */
const USUAL = 300
const LEAST = 10
const MOST = 3_600

/** The keys that a server publishes: kept as long as it says, and fetched again for a token that names an unknown one. */
export class RemoteKeys {
  keys: Keys = new Map()
  #asked?: { at: number; problem?: unknown }
  #asking?: Promise<void>
  /** Until when they may be kept, by two clocks: one goes on while a machine sleeps, and the other can't be set. */
  #keptUntil = { monotonic: 0, wall: 0 }
  #timer?: NodeJS.Timeout
  #isStopped = false

  constructor(private readonly url: URL) {}

  /** The first fetch, which reports why it failed. */
  async start(): Promise<void> {
    await this.#fetch()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  /** How long they have been too old, in milliseconds. */
  get staleFor(): number {
    const { monotonic, wall } = this.#keptUntil
    return Math.max(performance.now() - monotonic, Date.now() - wall, 0)
  }

  /**
   * Fetches them once for all callers, and not again for a while; returns whether they have just arrived. Rejects if
   * the fetch fails, since it is then unknown whether a key exists.
   */
  async again(): Promise<boolean> {
    if (!this.#asking && this.#asked && performance.now() - this.#asked.at < COOL_DOWN) {
      if (this.#asked.problem) throw this.#asked.problem
      return false
    }
    await this.#fetch()
    return true
  }

  #fetch(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #ask() {
    const asked: { at: number; problem?: unknown } = { at: performance.now() }
    this.#asked = asked
    let wait = COOL_DOWN
    try {
      const response = await fetch(this.url, { redirect: 'error', signal: AbortSignal.timeout(ANSWER) })
      this.keys = await ofJwks(JSON.parse(await read(response)))
      const said = /(?:^|,)\s*max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1]
      wait = Math.min(Math.max(Number(said ?? USUAL), LEAST), MOST) * 1000
      this.#keptUntil = { monotonic: performance.now() + wait, wall: Date.now() + wait }
    } catch (problem) {
      asked.problem = problem
      throw problem
    } finally {
      clearTimeout(this.#timer)
      if (!this.#isStopped) this.#timer = setTimeout(() => this.#fetch().catch(() => {}), wait).unref()
    }
  }
}
