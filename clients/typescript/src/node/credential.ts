import type { IncomingHttpHeaders } from 'node:http'

/** What the one credential of a request is, unverified. */
export type Credential = { mode: 'bearer' | 'cookie'; token: string } | { mode: 'session'; secret: string }

export interface CookieNames {
  /** The access token of cookie mode. */
  token: string
  /** The secret of session mode. */
  session: string
}

/** A request as one of Node's servers has it, or as `fetch` does. */
export interface Incoming {
  headers: IncomingHttpHeaders | Headers
  headersDistinct?: NodeJS.Dict<string[]>
}

/**
 * Picks it. `Authorization`, where present, is judged alone; two credentials of one kind and cookies of two modes are
 * refused, so that no two readers of the request disagree.
 */
export function credential(request: Incoming, names: CookieNames): Credential | 'token_missing' | 'token_invalid' {
  const authorization = lines(request, 'authorization')
  if (authorization.length) {
    const [, token] = /^bearer ([^ ]+)$/i.exec(authorization.join(', ')) ?? []
    return token ? { mode: 'bearer', token } : 'token_invalid'
  }
  const found: Credential[] = []
  for (const pair of lines(request, 'cookie').flatMap((line) => line.split(';'))) {
    const [name, value] = halves(pair.trim())
    if (name === names.token) found.push({ mode: 'cookie', token: value })
    if (name === names.session) found.push({ mode: 'session', secret: value })
  }
  const [one, another] = found
  return another ? 'token_invalid' : (one ?? 'token_missing')
}

function lines(request: Incoming, name: string): string[] {
  const { headers, headersDistinct } = request
  // Of two equal ones Node's `headers` shows the first alone.
  if (headersDistinct) return headersDistinct[name] ?? []
  return [headers instanceof Headers ? (headers.get(name) ?? []) : (headers[name] ?? [])].flat()
}

function halves(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return at < 0 ? ['', ''] : [pair.slice(0, at), pair.slice(at + 1)]
}
