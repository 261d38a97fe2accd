/** How late a word may be, in milliseconds: as long as a connection may be silent. */
const LATEST = 15_000
/** A jump ahead counts for good once it has lasted so long. */
const LASTS = 600_000
/** Time that is ahead of the server's goes this part slower. Two steady clocks differ by less. */
const SLOWER = 1_000

/** How far the server's time is ahead of this machine's steady time, in milliseconds. */
interface Heard {
  at: number
  /** By its words. */
  said: number
  /** The guard's time doesn't go back behind this. */
  least: number
  /** How far this machine's clock was ahead of its steady time. */
  wall: number
  /** The least of `said` since `began`, and in the span before. */
  lasting: { began: number; now: number; before: number }
}

/**
 * The server's time, as the feed says it, carried on by this machine's steady time. So it doesn't matter how this
 * machine's clock is set.
 *
 * A word can be late: held up on its way, or read by a process that stood still. It is never early. So time goes ahead
 * at once, and a word that is much too late makes the guard connect again. The first word of a connection was said after
 * the guard asked for it: only such a word shows that the server's clock was set back. Even then time goes back only to
 * take back a jump ahead, so that no expired token is good again.
 */
export class ServerClock {
  #heard?: Heard

  /** `staleAfter`: how long the guard may hear nothing, in milliseconds. */
  constructor(private readonly staleAfter: number) {}

  /**
   * Takes over what the server says, in milliseconds since 1970; `askedAt` for the first word of a connection. Returns
   * whether the word is too late to count: then the guard has to connect again.
   */
  hear(now: number, askedAt?: number): boolean {
    const at = performance.now()
    const wall = Date.now() - at
    const ahead = now - at
    if (!this.#heard) {
      this.#heard = { at, said: ahead, least: ahead, wall, lasting: { began: at, now: ahead, before: ahead } }
      return false
    }
    const heard = this.#heard
    const slower = (at - heard.at) / SLOWER
    if (ahead >= heard.said - LATEST) heard.said = Math.max(ahead, heard.said - slower)
    else if (askedAt === undefined || now - askedAt >= heard.said) return true
    else heard.said = ahead
    const { lasting } = heard
    if (at - lasting.began >= LASTS) heard.lasting = { began: at, now: heard.said, before: lasting.now }
    else lasting.now = Math.min(lasting.now, heard.said)
    heard.least = Math.max(Math.min(heard.lasting.now, heard.lasting.before), heard.least - slower)
    heard.at = at
    heard.wall = wall
    return false
  }

  /**
   * The time in milliseconds since 1970: this machine's own until the server has said its.
   *
   * A steady clock may stand still while the machine sleeps. So the wall clock counts too if it has gone further, but
   * not if it has gone so far that the guard is stale.
   */
  now(): number {
    if (!this.#heard) return Date.now()
    const { said, least, wall } = this.#heard
    const at = performance.now()
    const slept = Date.now() - at - wall
    return Math.max(said, least) + at + (slept > 0 && slept <= this.staleAfter ? slept : 0)
  }

  /** How far this machine's clock is ahead of the server's, in milliseconds; 0 if that is unknown. */
  get ahead(): number {
    return this.#heard ? Date.now() - performance.now() - this.#heard.said : 0
  }

  /** What is wrong with the server's time. */
  get problem(): string | undefined {
    const { said = 0, least = 0 } = this.#heard ?? {}
    if (least - said <= LATEST) return undefined
    const seconds = Math.floor((least - said) / 1000)
    return `the server's clock was set back by ${seconds} s: tokens are judged by the time before; if its clock is right now, start this program again`
  }
}
