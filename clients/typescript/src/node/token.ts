import { compactVerify } from 'jose'

import type { Key, Keys } from './keys.js'
import { members, names, seconds, text, version } from './strict.js'

/** The claims that a token for this application must have. */
export interface Expected {
  issuer: string
  audience: string
  /** The longest life of a token, in seconds. */
  maxTtl: number
  /** Called for a correctly signed token with another issuer or audience. */
  differs?: (claim: string, found: string | undefined, wanted: string) => void
}

/** A checked access token; times in seconds since 1970. */
export interface Token {
  user: string
  session: string
  role: string
  /** The version of the user's claims that it was made from. */
  claimsVersion: number
  /** When the user signed in; 0 if the credential doesn't say so. A refresh doesn't change it. */
  authenticatedAt: number
  /** How the user signed in, by the names of RFC 8176: `pwd` for a password. */
  amr: string[]
  issuedAt: number
  expiresAt: number
}

export type Verdict = Token | 'token_invalid' | 'token_expired' | 'unknown_key'

const MAX_LENGTH = 4096
/** How far another machine's clock may be ahead, for `iat` and `nbf`, in seconds. */
const LEEWAY = 30
export const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export const ROLE = /^[a-z][a-z0-9_-]{0,30}$/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Checks an access token as the server does: form, key, signature, claims, times. */
export async function verify(token: string, keys: Keys, expected: Expected, now: number): Promise<Verdict> {
  const [head, payload, signature, ...more] = token.length <= MAX_LENGTH ? token.split('.') : []
  if (!head || !payload || !signature || more.length) return 'token_invalid'
  const header = read(head)
  const kid = header && text(header, 'kid')
  if (!header || kid === undefined || !readsLikeOurs(header)) return 'token_invalid'
  const key = keys.get(kid)
  if (!key) return 'unknown_key'
  if (text(header, 'alg') !== key.algorithm || !(await isSigned(token, key))) return 'token_invalid'
  const claims = read(payload)
  return claims ? judge(claims, expected, now) : 'token_invalid'
}

/** The strictly read JSON of a segment in its one spelling. */
function read(segment: string): Map<string, string> | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  if (bytes.toString('base64url') !== segment) return undefined
  try {
    return members(UTF8.decode(bytes))
  } catch {
    return undefined
  }
}

/** No other kind of JWT is accepted as an access token, and no parameter that changes how to read it. */
function readsLikeOurs(header: Map<string, string>) {
  const typ = text(header, 'typ')?.toLowerCase()
  const other = ['crit', 'b64', 'zip', 'enc', 'cty'].some((name) => header.has(name))
  return (typ === 'at+jwt' || typ === 'application/at+jwt') && !other
}

// The key comes from our own set, never from the token: `jwk`, `jku`, `x5u` and `x5c` are not read.
async function isSigned(token: string, key: Key) {
  const [, , signature = ''] = token.split('.')
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return false
  return compactVerify(token, key.material, { algorithms: [key.algorithm] }).then(
    () => true,
    () => false,
  )
}

function judge(claims: Map<string, string>, expected: Expected, now: number): Verdict {
  const [iss, aud, user, session, role, jti] = ['iss', 'aud', 'sub', 'sid', 'role', 'jti'].map((name) => text(claims, name))
  const times = ['iat', 'exp', 'nbf', 'auth_time'].map((name) => seconds(claims, name))
  const [issuedAt = NaN, expiresAt = NaN, notBefore = 0, authenticatedAt = 0] = times
  const amr = names(claims, 'amr')
  for (const [claim, found, wanted] of [['iss', iss, expected.issuer], ['aud', aud, expected.audience]] as const) {
    if (found === wanted) continue
    expected.differs?.(claim, found, wanted)
    return 'token_invalid'
  }
  if (!user || !ID.test(user) || !session || !ID.test(session) || !role || !ROLE.test(role)) return 'token_invalid'
  const claimsVersion = version(claims)
  if (Number.isNaN(claimsVersion) || Number.isNaN(authenticatedAt) || !amr) return 'token_invalid'
  if (!jti || Buffer.byteLength(jti) > 128) return 'token_invalid'
  const begun = issuedAt <= now + LEEWAY && notBefore <= now + LEEWAY
  const fits = issuedAt < expiresAt && expiresAt <= issuedAt + expected.maxTtl + LEEWAY
  if (!begun || !fits) return 'token_invalid'
  return now < expiresAt ? { user, session, role, claimsVersion, authenticatedAt, amr, issuedAt, expiresAt } : 'token_expired'
}
