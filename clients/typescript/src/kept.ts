import type { Store } from './types.js'

/** A credential as an answer contains it. */
export interface Issued {
  token?: string
  refresh_token?: string
  expires_in: number
}

/** A credential as it is stored. */
export interface Held {
  token?: string
  refresh_token?: string
  /** When the access token expires, by the clock of this machine. */
  expires: number
}

/** A store that ends with the page or the process. */
export const memory = (): Store => {
  let kept: string | null = null
  return { get: () => kept, set: (text) => void (kept = text) }
}

/** More than the secrets of five accounts, in characters. */
const MAX_DEVICE = 1_000

/** The secrets that make this a known device. If the store fails, or holds something else, sign-ins go on without it. */
export class KnownDevice {
  constructor(private readonly store: Store) {}

  /** The value to send to Doorward. */
  async read(): Promise<string | undefined> {
    try {
      const kept: unknown = await this.store.get()
      return typeof kept === 'string' && kept.length <= MAX_DEVICE ? kept : undefined
    } catch {
      return undefined
    }
  }

  async keep(device: string): Promise<void> {
    try {
      await this.store.set(device)
    } catch {
      // The next sign-in makes another.
    }
  }
}
