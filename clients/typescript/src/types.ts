/** How a sign-in is held: tokens in memory, tokens in HttpOnly cookies, or one session cookie. */
export type Mode = 'bearer' | 'cookie' | 'session'

export interface User {
  id: string
  name: string
  email: string
  role: string
  created_at: string
}

/** One sign-in. */
export interface Device {
  id: string
  /** Whether it is the one that asks. */
  current: boolean
  mode: Mode
  created_at: string
  last_seen_at: string
  expires_at: string
  ip: string | null
  user_agent: string | null
  device: string
}

export interface Credentials {
  email: string
  password: string
}

export interface Registration extends Credentials {
  name: string
  /** The secret of an invitation, where registration needs one. */
  invite?: string
}

/** Where one text is kept. */
export interface Store {
  get(): string | null | undefined | Promise<string | null | undefined>
  set(text: string | null): void | Promise<void>
}

export interface Options {
  /** Where Doorward is, with its base path; in a browser the page's own origin where it is not given. */
  url?: string
  /** `bearer` where it is not given. */
  mode?: Mode
  /** The other origins that get the credential; everybody else gets a plain request. */
  apis?: string[]
  /** Where the tokens of bearer mode are kept; in memory where it is not given. Clients that share it share the sign-in. */
  store?: Store
  /**
   * Where bearer mode keeps what makes this a known device, beyond every logout; in memory where it is not given. The client
   * sends it to Doorward alone, with the next sign-in: other people's failed guesses don't keep a known device out. One for
   * each Doorward.
   */
  device?: Store
  fetch?: typeof fetch
}
