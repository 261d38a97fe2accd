/** How a credential stands with the revocations. */
export type Standing = 'good' | 'session_ended' | 'token_stale'

type Ended = [session: string, expiresAt: number]
type Changed = [user: string, role: string, version: number, expiresAt: number]

/** The sessions that are over and the roles that have changed, until the last token that they concern is dead. */
export class Revocations {
  #sessions = new Map<string, number>()
  #roles = new Map<string, { role: string; version: number; expiresAt: number }>()
  /** Whether there was no room for something: then a miss says nothing. */
  overflowed = false

  /** `max` sessions and as many users. */
  constructor(private readonly max: number) {}

  get size(): number {
    return this.#sessions.size + this.#roles.size
  }

  get isFull(): boolean {
    return this.#sessions.size >= this.max || this.#roles.size >= this.max
  }

  check(user: string, session: string, role: string): Standing {
    if (this.#sessions.has(session)) return 'session_ended'
    const change = this.#roles.get(user)
    return change && change.role !== role ? 'token_stale' : 'good'
  }

  /** Takes a batch of the feed. Of two changes of a role the one with the higher version stands, in whatever order. */
  take({ sessions = [], roles = [] }: { sessions?: Ended[]; roles?: Changed[] }): void {
    for (const [session, expiresAt] of sessions) {
      if (this.#sessions.size < this.max) this.#sessions.set(session, expiresAt)
      else if (!this.#sessions.has(session)) this.overflowed = true
    }
    for (const [user, role, version, expiresAt] of roles) {
      const known = this.#roles.get(user)
      if (known && known.version >= version) continue
      if (known || this.#roles.size < this.max) this.#roles.set(user, { role, version, expiresAt })
      else this.overflowed = true
    }
  }

  /** Forgets what concerns no live token any more; `now` in seconds. */
  sweep(now: number): void {
    for (const [session, expiresAt] of this.#sessions) if (expiresAt <= now) this.#sessions.delete(session)
    for (const [user, { expiresAt }] of this.#roles) if (expiresAt <= now) this.#roles.delete(user)
  }
}
