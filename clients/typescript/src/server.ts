import { type Client, createClient } from './client.js'
import { halves, isBoundToHost, keepsCookiesAtHome, trimmed } from './cookies.js'
import type { Options } from './types.js'

/**
 * A client for one request to a server that acts for the request's sender. The sender's cookies go to Doorward and to
 * `apis`, and the cookies that those set are returned for the answer. Nothing outlives the request, and nothing is
 * shared.
 *
 * If another site makes the browser send the request, only cookies whose names begin with `__Host-` are forwarded.
 * Another host of the domain could have planted the others. With `lax`, for a server with `cookie.same_site = "lax"`,
 * those of a link are forwarded too.
 *
 * With `address`, the visitor's own, Doorward's limits and devices are each visitor's, and not this server's. Doorward
 * believes it if this server is among its `trusted_proxies`. `publicUrl` is Doorward's URL for browsers, if `url` is an
 * inner one: `signInUrl` and `refreshUrl` begin with it.
 *
 * @param headers the request's headers, as one of Node's servers has them, or as `fetch` does
 * @param setCookie takes each `Set-Cookie` that belongs into the answer
 */
export function forRequest(
  options: Options & { url: string; lax?: boolean; address?: string },
  headers: Headers | Record<string, string | string[] | undefined>,
  setCookie: (header: string) => void,
): Client {
  const linesOf = (name: string) => [(headers instanceof Headers ? headers.get(name) : headers[name]) ?? []].flat()
  const stayAtHome = keepsCookiesAtHome(linesOf, options.lax ?? false)
  // Each as it came, also two of one name: the server judges which one counts.
  let pairs = linesOf('cookie').join(';').split(';').map(trimmed).filter(Boolean)
  if (stayAtHome) pairs = pairs.filter((pair) => isBoundToHost(nameOf(pair)))
  const send = options.fetch ?? fetch
  const { origin } = new URL(options.url)
  return createClient({
    mode: 'cookie',
    ...options,
    fetch: async (input, init) => {
      const request = new Request(input, init)
      // The client calls this only for trusted origins.
      const trusted = request.credentials === 'include'
      const isServer = new URL(request.url).origin === origin
      const sent = trusted ? pairs.filter((pair) => isServer || !FOR_THE_SERVER.test(nameOf(pair))) : []
      if (sent.length) request.headers.set('cookie', sent.join('; '))
      if (isServer && options.address) request.headers.set('x-forwarded-for', options.address)
      const response = await send(request)
      for (const header of trusted ? response.headers.getSetCookie() : []) {
        const pair = trimmed(header.split(';', 1)[0] ?? '')
        pairs = pairs.filter((other) => nameOf(other) !== nameOf(pair))
        if (!pair.endsWith('=')) pairs.push(pair)
        setCookie(header)
      }
      return response
    },
  })
}

/** Cookies that no other application needs. */
const FOR_THE_SERVER = /^(__Host-)?(refresh_token|device)$/

const nameOf = (pair: string) => halves(pair)[0]
