import type { Store } from './types.js'

/** A credential as an answer hands it out. */
export interface Issued {
  token?: string
  refresh_token?: string
  expires_in: number
}

/** A credential as it is kept. */
export interface Held {
  token?: string
  refresh_token?: string
  /** When the access token runs out, by the clock of this machine. */
  expires: number
}

/** A place that ends with the page or the process. */
export const memory = (): Store => {
  let kept: string | null = null
  return { get: () => kept, set: (text) => void (kept = text) }
}

/** More than the secrets of five accounts, in characters. */
const MAX_DEVICE = 1_000

/** What makes this a known device. A place that fails, or holds something else, stands in no sign-in's way. */
export class KnownDevice {
  constructor(private readonly store: Store) {}

  /** What Doorward is shown. */
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
