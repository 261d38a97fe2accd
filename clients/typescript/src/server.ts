import { type Client, type Options, createClient } from './client.js'

/**
 * A client for one request that a server answers, in the name of whoever sent it: their cookies go to Doorward and to
 * `apis`, and what those set comes back to be handed on. Nothing outlives the request, and nothing is shared.
 *
 * @param cookies the request's `Cookie` header
 * @param setCookie takes each `Set-Cookie` that belongs into the answer
 */
export function forRequest(
  options: Options & { url: string },
  cookies: string | null | undefined,
  setCookie: (header: string) => void,
): Client {
  const jar = new Map<string, string>()
  for (const pair of cookies?.split(';') ?? []) keep(jar, pair)
  const send = options.fetch ?? fetch
  return createClient({
    mode: 'cookie',
    ...options,
    fetch: async (input, init) => {
      const request = new Request(input, init)
      // The client asks this of those that it trusts alone.
      const trusted = request.credentials === 'include'
      if (trusted && jar.size) request.headers.set('cookie', [...jar].map((pair) => pair.join('=')).join('; '))
      const response = await send(request)
      for (const header of trusted ? response.headers.getSetCookie() : []) {
        keep(jar, header.split(';', 1)[0] ?? '')
        setCookie(header)
      }
      return response
    },
  })
}

function keep(jar: Map<string, string>, pair: string) {
  const at = pair.indexOf('=')
  const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
  if (at < 1) return
  if (value) jar.set(name, value)
  else jar.delete(name)
}
