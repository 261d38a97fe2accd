import { ID, ROLE } from './token.js'

/** How a credential stands with the revocations. */
export type Standing = 'good' | 'session_ended' | 'token_stale'

/** Role, version of the user, the second until when to remember it, and when it was heard, by the steady clock. */
interface Change {
  role: string
  version: number
  expiresAt: number
  heardAt: number
}

export type Changes = Map<string, Change>

/** What one event of the feed says. */
export interface Batch {
  sessions: Map<string, number>
  roles: Changes
}

/** Reads it. Throws where it is none: what can't be read must not count as heard. */
export function batch(text: string): Batch {
  const { sessions = [], roles = [] }: { sessions?: unknown; roles?: unknown } = JSON.parse(text)
  if (!Array.isArray(sessions) || !Array.isArray(roles)) throw new TypeError('an event of the feed cannot be read')
  const read: Batch = { sessions: new Map(), roles: new Map() }
  for (const [session, expiresAt] of sessions) {
    expect(ID.test(session) && Number.isSafeInteger(expiresAt))
    read.sessions.set(session, expiresAt)
  }
  for (const [user, role, version, expiresAt] of roles) {
    expect(ID.test(user) && ROLE.test(role) && Number.isSafeInteger(version) && Number.isSafeInteger(expiresAt))
    change(read.roles, user, { role, version, expiresAt, heardAt: performance.now() })
  }
  return read
}

function expect(isGood: boolean) {
  if (!isGood) throw new TypeError('an entry of the feed cannot be read')
}

/** Of two changes the one with the higher version stands, in whatever order they come. */
function change(changes: Changes, user: string, one: Change) {
  const known = changes.get(user)
  if (!known || known.version < one.version) changes.set(user, one)
}

/** Puts in what finds room; says how many did not. */
export function merge(changes: Changes, more: Changes, max: number): number {
  let left = 0
  for (const [user, one] of more) {
    if (changes.size < max || changes.has(user)) change(changes, user, one)
    else left += 1
  }
  return left
}

/** The sessions that are over and the roles that have changed, until the last token that they concern is dead. */
export class Revocations {
  #sessions = new Map<string, number>()
  #roles: Changes = new Map()
  #overflows = 0
  #wholeAt = 0

  /** `max` sessions and as many users. */
  constructor(readonly max: number) {}

  get size(): number {
    return this.#sessions.size + this.#roles.size
  }

  /** Whether everything found room; otherwise a miss says nothing. */
  get isWhole(): boolean {
    return this.#overflows === this.#wholeAt
  }

  check(user: string, session: string, role: string): Standing {
    if (this.#sessions.has(session)) return 'session_ended'
    const change = this.#roles.get(user)
    return change && change.role !== role ? 'token_stale' : 'good'
  }

  /** When the last change of a user was heard: of the role, or of the password, which replaces session secrets. */
  changedAt(user: string): number {
    return this.#roles.get(user)?.heardAt ?? -Infinity
  }

  take({ sessions, roles }: Batch): void {
    for (const [session, expiresAt] of sessions) {
      if (this.#sessions.size < this.max || this.#sessions.has(session)) this.#sessions.set(session, expiresAt)
      else this.#overflows += 1
    }
    this.#overflows += merge(this.#roles, roles, this.max)
  }

  /** A mark to take before everything is told again, for `loaded`. */
  mark(): number {
    return this.#overflows
  }

  /**
   * Everything was told since `mark`. The roles take the place of those before: they may be of a restored database, beside
   * whose versions the old ones say nothing.
   */
  loaded(mark: number, roles: Changes): void {
    this.#roles = roles
    this.#wholeAt = mark
  }

  /** Forgets what concerns no live token any more, and says how many there were; `now` in seconds. */
  sweep(now: number): number {
    const before = this.size
    for (const [session, expiresAt] of this.#sessions) if (expiresAt <= now) this.#sessions.delete(session)
    for (const [user, { expiresAt }] of this.#roles) if (expiresAt <= now) this.#roles.delete(user)
    return before - this.size
  }
}
