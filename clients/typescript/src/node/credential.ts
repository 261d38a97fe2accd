import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

import { halves, isBoundToHost, keepsCookiesAtHome, trimmed } from '../cookies.js'

/** A credential of a request, unverified. */
export type Credential = { mode: 'bearer' | 'cookie'; token: string } | { mode: 'session'; secret: string }

export interface CookieNames {
  /** The access token of cookie mode. */
  token: string
  /** The secret of session mode. */
  session: string
  /** The refresh token of cookie mode, which is for the server alone. */
  refresh: string
  /** The browser's proof that it signed in before, also for the server alone. */
  device: string
  /** Whether the server's setting `cookie.same_site` is `lax`. */
  lax: boolean
}

/** A request of one of Node's servers, or of `fetch`. */
export interface Incoming {
  headers: IncomingHttpHeaders | Headers
  headersDistinct?: NodeJS.Dict<string[]>
}

/** How many cookies of one name are read; a request with more is refused. */
const MOST_COOKIES = 64

/**
 * Picks the credential of a request. If `Authorization` is present, it alone is checked. Each different value of a
 * cookie counts: at most one may prove a live session. A cookie that another host of the domain can plant doesn't count
 * if the browser withholds the server's own cookies.
 */
export function credentials(
  request: Incoming,
  names: CookieNames,
): Credential[] | 'token_missing' | 'token_invalid' | 'too_many_cookies' {
  const authorization = lines(request, 'authorization')
  if (authorization.length) {
    const [, token] = /^bearer ([^ ]+)$/i.exec(authorization.join(', ')) ?? []
    return token ? [{ mode: 'bearer', token }] : 'token_invalid'
  }
  const [tokens, secrets]: [string[], string[]] = [[], []]
  const stayAtHome = keepsCookiesAtHome((header) => lines(request, header), names.lax)
  const counts = (name: string) => !stayAtHome || isBoundToHost(name)
  for (const pair of lines(request, 'cookie').flatMap((line) => line.split(';'))) {
    const [name, value] = halves(pair)
    if (name === names.token && counts(name)) tokens.push(value)
    if (name === names.session && counts(name)) secrets.push(value)
  }
  if (tokens.length > MOST_COOKIES || secrets.length > MOST_COOKIES) return 'too_many_cookies'
  const found: Credential[] = []
  for (const token of new Set(tokens)) found.push({ mode: 'cookie', token })
  for (const secret of new Set(secrets)) found.push({ mode: 'session', secret })
  return found.length ? found : 'token_missing'
}

function lines(request: Incoming, name: string): string[] {
  const { headers, headersDistinct } = request
  // Of two equal ones, Node's `headers` has only the first.
  if (headersDistinct) return headersDistinct[name] ?? []
  return [headers instanceof Headers ? (headers.get(name) ?? []) : (headers[name] ?? [])].flat()
}

/** Removes every cookie of this name from a request. Other lines stay as they are, byte for byte. */
export function strip(request: IncomingMessage, name: string): void {
  if (!request.headers.cookie?.includes(name)) return
  const kept: string[] = []
  const raw = request.rawHeaders
  for (let at = raw.length - 2; at >= 0; at -= 2) {
    if (raw[at]!.toLowerCase() !== 'cookie') continue
    const pairs = raw[at + 1]!.split(';').filter((pair) => halves(pair)[0] !== name)
    const line = trimmed(pairs.join(';'))
    if (line) kept.unshift(line)
    raw.splice(at, 2, ...(line ? [raw[at]!, line] : []))
  }
  if (kept.length) request.headers.cookie = kept.join('; ')
  else delete request.headers.cookie
  if (request.headersDistinct) request.headersDistinct.cookie = kept.length ? kept : undefined
}
