import type { Code } from '../codes.js'

/** Why a request is refused. */
export type Refusal = Extract<
  Code,
  | 'token_missing'
  | 'token_invalid'
  | 'token_expired'
  | 'token_stale'
  | 'session_ended'
  | 'session_expired'
  | 'ambiguous_cookies'
  | 'too_many_cookies'
  | 'unavailable'
  | 'forbidden'
>

/** The response to a refusal: `application/problem+json` (RFC 9457), with the challenge of RFC 6750. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

export const EXPOSE = 'access-control-expose-headers'

const ROWS: Record<Refusal, [status: number, title: string, message: string]> = {
  token_missing: [401, 'Unauthorized', 'No token provided'],
  token_invalid: [401, 'Unauthorized', 'Invalid token'],
  token_expired: [401, 'Unauthorized', 'jwt expired'],
  token_stale: [401, 'Unauthorized', 'Token is out of date: refresh it'],
  session_ended: [401, 'Unauthorized', 'This session has ended'],
  session_expired: [401, 'Unauthorized', 'This session has expired: sign in again'],
  ambiguous_cookies: [401, 'Unauthorized', 'Your browser holds two different sign-ins: sign out of both'],
  too_many_cookies: [400, 'Bad Request', 'Too many cookies of one name: delete the cookies of this site'],
  forbidden: [403, 'Forbidden', 'You are not allowed to do this'],
  unavailable: [503, 'Service Unavailable', 'Temporarily unavailable: try again'],
}

/** The response to a refusal. */
export function answer(code: Refusal): Answer {
  const [status, title, message] = ROWS[code]
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' }
  if (status === 401) {
    headers['www-authenticate'] = challenge(code)
    // A page of another origin reads the challenge only if it is exposed.
    headers[EXPOSE] = 'www-authenticate'
  }
  if (status === 503) headers['retry-after'] = '1'
  return { status, headers, body: JSON.stringify({ type: 'about:blank', title, status, success: false, code, message }) }
}

function challenge(code: Refusal) {
  // A new token would not help against two sign-ins.
  if (code === 'token_missing' || code === 'ambiguous_cookies') return 'Bearer'
  const expired = code === 'token_expired' ? ', error_description="jwt expired"' : ''
  return `Bearer error="invalid_token"${expired}`
}
