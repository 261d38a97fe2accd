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
  /** Whether it is the one that makes this request. */
  current: boolean
  mode: Mode
  created_at: string
  authenticated_at: string
  /** How its user signed in (RFC 8176): `pwd` for a password. */
  amr: string[]
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
  /** The secret of an invitation, if registration needs one. */
  invite?: string
}

/** A store for one text. */
export interface Store {
  get(): string | null | undefined | Promise<string | null | undefined>
  set(text: string | null): void | Promise<void>
}

export interface Options {
  /** The URL of Doorward, with its base path; in a browser the default is the page's own origin. */
  url?: string
  /** Doorward's URL as browsers reach it, if a server reaches it by another `url`. */
  publicUrl?: string
  /** The default is `bearer`. */
  mode?: Mode
  /** Further origins that get the credential; all others get a plain request. */
  apis?: string[]
  /** Where the tokens of bearer mode are stored; the default is in memory. Clients that share it share the sign-in. */
  store?: Store
  /**
   * Where bearer mode stores the secrets that make this a known device, beyond every logout; the default is in memory.
   * The client sends them to Doorward alone, with the next sign-in, so that other people's failed guesses don't lock a
   * known device out. Use one for each Doorward server.
   */
  device?: Store
  fetch?: typeof fetch
}
