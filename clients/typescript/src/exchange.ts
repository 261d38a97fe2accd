import { codeOf } from './error.js'
import { isAboutToken } from './origins.js'

/** What Doorward says about itself. */
interface Discovered {
  session_tokens?: boolean
  cookies?: { domain?: string }
}

/** The delays before asking for the successor of a credential, whose answer may be on its way, in milliseconds. */
const SUCCESSOR = [0, 250, 500, 1_000, 2_000]

/**
 * Repeats the request with the current cookie: a password change has replaced the earlier one, and its answer may be
 * on its way.
 */
export async function again(send: (one: Request) => Promise<Response>, request: () => Request, refused: Response): Promise<Response> {
  let response = refused
  for (const wait of SUCCESSOR) {
    await response.body?.cancel()
    await new Promise((wake) => setTimeout(wake, wait))
    response = await send(request())
    if ((await codeOf(response)) !== 'token_stale') break
  }
  return response
}

/** How long before its end a token is replaced, in milliseconds. */
const EARLY = 5_000

/**
 * Access tokens for a sign-in that is a cookie, for requests to hosts that the cookie doesn't reach. They are in memory
 * alone, and each is asked for once for all waiting requests.
 */
export class Exchange {
  #token?: string
  #until = 0
  #asking?: Promise<Response | undefined>
  #discovered?: Promise<Discovered>
  #warned = new Set<string>()

  constructor(
    private readonly url: URL,
    private readonly send: typeof fetch,
    /** Asks Doorward for a token, with the cookie. */
    private readonly ask: () => Promise<Response>,
    /** Whether nobody is signed in. */
    private readonly isOut: () => boolean,
    /** Takes a note that the sign-in is over, unless another one has begun since. */
    private readonly over: () => () => Promise<unknown>,
  ) {}

  /** After a sign-in, a sign-out, or the refusal of this token. */
  forget(token = this.#token): void {
    if (token === this.#token) this.#until = 0
  }

  /** Whether requests to this host need a token. If they can't have one, the console says so once. */
  async helps({ hostname, origin }: URL): Promise<boolean> {
    this.#discovered ??= this.#discover().catch((error: unknown) => {
      this.#discovered = undefined
      throw error
    })
    const { session_tokens, cookies } = await this.#discovered
    if (session_tokens) return true
    const domain = cookies?.domain
    const within = domain && (hostname === domain || hostname.endsWith(`.${domain}`))
    if (hostname !== this.url.hostname && !within && !this.#warned.has(origin)) {
      this.#warned.add(origin)
      console.warn(`doorward: ${origin} gets no sign-in. The guide set-ups.md says which settings it needs`)
    }
    return false
  }

  async #discover(): Promise<Discovered> {
    const response = await this.send(new URL('.well-known/doorward', this.url))
    return response.ok ? ((await response.json()) as Discovered) : {}
  }

  /** Sends a request with a token, and once more with another one if that may help. */
  async fetch(request: () => Request, isStream: boolean): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const [over, one] = [this.over(), request()]
      if (this.isOut() || one.headers.has('authorization')) return this.send(one)
      const refused = await this.#ensure()
      if (refused?.status === 401) await over()
      if (refused) return refused.clone()
      const token = this.#token
      one.headers.set('authorization', `Bearer ${token}`)
      const response = await this.send(one)
      const code = await codeOf(response)
      if (code.startsWith('session_')) await over()
      if (!isAboutToken(code) || isStream || tries > 1) return response
      this.forget(token)
      await response.body?.cancel()
    }
  }

  /** Makes sure that there is a token. Returns the answer if it was refused. */
  #ensure(): Promise<Response | undefined> {
    if (Date.now() < this.#until) return Promise.resolve(undefined)
    this.#asking ??= this.#exchange().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #exchange(): Promise<Response | undefined> {
    const response = await this.ask()
    if (!response.ok) return response
    const { token, expires_in }: { token: string; expires_in: number } = await response.json()
    this.#token = token
    this.#until = Date.now() + Math.max(expires_in * 1000 - EARLY, expires_in * 500)
    return undefined
  }
}
