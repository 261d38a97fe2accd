import { ID } from './token.js'

/** What the revocations say of a credential. */
export type Standing = 'good' | 'session_ended' | 'token_stale'

/**
 * The least version of a user's tokens that is not stale, and until when to keep it, in milliseconds of monotonic time.
 */
interface Least {
  version: number
  until: number
}

type LeastVersions = Map<string, Least>

/** The content of one event of the feed: until when to keep each session, and the least version of each user. */
export interface Batch {
  sessions: Map<string, number>
  users: LeastVersions
  /** Until when entries count that the sender lacks. */
  missingUntil: number
}

/** The longest id, in bytes. */
const MAX_ID = 1024

/**
 * Reads the data of a `revoked` event: `{sessions: [[id, seconds]], users: [[id, version, seconds]]}`. Each is kept for
 * this many seconds from now. Other members, further elements of an entry, and ids that no token here can have are
 * ignored. Throws if the data can't be parsed: such an event must not count as read.
 */
export function batch(text: string): Batch {
  const now = performance.now()
  const data = object(text)
  const missingUntil = data['missing'] === undefined ? 0 : now + whole(data['missing']) * 1000
  const read: Batch = { sessions: new Map(), users: new Map(), missingUntil }
  for (const [id, keep] of entries(data['sessions'])) {
    const until = now + whole(keep) * 1000
    if (isOurs(id)) later(read.sessions, id, until)
  }
  for (const [id, version, keep] of entries(data['users'])) {
    const least = { version: whole(version), until: now + whole(keep) * 1000 }
    if (isOurs(id)) raise(read.users, id, least)
  }
  return read
}

/** What a `current` event says. */
export interface Current {
  /** The server's name for its published keys. */
  keys?: string
  /** The server's time, in milliseconds since 1970. */
  now?: number
}

/** Reads the data of a `current` event. Throws if it can't be parsed. */
export function current(text: string): Current {
  const { keys, now } = object(text)
  if (keys !== undefined && typeof keys !== 'string') throw unreadable()
  return { keys, now: now === undefined ? undefined : whole(now) }
}

function object(text: string): Record<string, unknown> {
  const data: unknown = JSON.parse(text)
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw unreadable()
  return data as Record<string, unknown>
}

function entries(list: unknown = []): unknown[][] {
  if (!Array.isArray(list) || !list.every(Array.isArray)) throw unreadable()
  return list
}

/** Whether a token here can have this id. */
function isOurs(id: unknown): id is string {
  if (typeof id !== 'string' || Buffer.byteLength(id) > MAX_ID) throw unreadable()
  return ID.test(id)
}

function whole(number: unknown): number {
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number
  throw unreadable()
}

const unreadable = () => new TypeError('an event of the feed cannot be read')

/** Of two ends the later one counts, in whatever order they come. */
function later(ends: Map<string, number>, id: string, until: number) {
  ends.set(id, Math.max(ends.get(id) ?? until, until))
}

/** Of two versions the greater one counts, and of two ends the later. */
function raise(users: LeastVersions, id: string, { version, until }: Least) {
  const known = users.get(id) ?? { version, until }
  users.set(id, { version: Math.max(known.version, version), until: Math.max(known.until, until) })
}

/** The ended sessions and the least versions of users, until the last token that they concern has expired. */
export class Revocations {
  readonly #sessions = new Map<string, number>()
  readonly #users: LeastVersions = new Map()
  #overflows = 0
  #wholeAt = 0
  #missingUntil = 0

  /** `max` sessions and as many users. */
  constructor(readonly max: number) {}

  get size(): number {
    return this.#sessions.size + this.#users.size
  }

  /** Whether everything fitted; otherwise a miss says nothing. */
  get isWhole(): boolean {
    return this.#overflows === this.#wholeAt
  }

  /** Judges a credential of this user and session that was made from this version of the user's claims. */
  check(user: string, session: string, version: number): Standing {
    if (this.#sessions.has(session)) return 'session_ended'
    return version < (this.#users.get(user)?.version ?? 0) ? 'token_stale' : 'good'
  }

  /**
   * Whether no missing entry concerns a token that lives for so many milliseconds more. An entry is kept for longer than
   * any token that it concerns lives, so a token that outlives all that is missing is younger than that.
   */
  covers(left: number): boolean {
    return this.isWhole && performance.now() + left >= this.#missingUntil
  }

  take({ sessions, users, missingUntil }: Batch): void {
    this.#missingUntil = Math.max(this.#missingUntil, missingUntil)
    for (const [session, until] of sessions) {
      if (this.#sessions.size < this.max || this.#sessions.has(session)) later(this.#sessions, session, until)
      else this.#overflows += 1
    }
    for (const [user, least] of users) {
      if (this.#users.size < this.max || this.#users.has(user)) raise(this.#users, user, least)
      else this.#overflows += 1
    }
  }

  /** A mark for `loaded`. Take it before everything is read again. */
  mark(): number {
    return this.#overflows
  }

  /** Everything since `mark` was read. */
  loaded(mark: number): void {
    this.#wholeAt = mark
  }

  /** Drops entries that concern no live token any more, and returns how many there were. */
  sweep(): number {
    const [before, now] = [this.size, performance.now()]
    for (const [session, until] of this.#sessions) if (until <= now) this.#sessions.delete(session)
    for (const [user, { until }] of this.#users) if (until <= now) this.#users.delete(user)
    return before - this.size
  }
}
