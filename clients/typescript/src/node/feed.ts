import type { ServerClock } from './clock.js'
import { type Current, type Revocations, batch, current } from './revocations.js'

/** The server sends a heartbeat every 5 s; after this long in silence the connection counts as lost, in milliseconds. */
const SILENCE = 15_000
const MAX_LINE = 1024 * 1024
const FIRST_WAIT = 100
const MAX_WAIT = 5_000
/** Every server knows a newly registered client within a second. */
const TRIES = 4
/** The id of an event, which the client sends back in a header: at most 1 KiB of visible ASCII. */
const POSITION = /^[\x21-\x7e]{1,1024}$/

/** Follows the revocations of a server: from the last position, through restarts and lost connections. */
export class Feed {
  position?: string
  reconnects = 0
  /** Why it is not connected at the moment. */
  problem?: string
  /**
   * When the server last said that nothing is missing. By two clocks: one goes on while a machine sleeps, and the other
   * can't be set.
   */
  #heard?: { monotonic: number; wall: number }
  /** While everything is read: the mark from before. */
  #snapshot?: number
  /** When the guard connected, until the server has said its time. */
  #askedAt?: number
  #isStopped = false
  #connection?: AbortController
  #pause?: { timer: NodeJS.Timeout; end: () => void }
  #isCurrent?: () => void
  #isRefused?: () => void

  constructor(
    private readonly url: URL,
    private readonly authorization: string,
    private readonly revocations: Revocations,
    private readonly clock: ServerClock,
    private readonly keysAre: (fingerprint: string) => void,
  ) {}

  /** Starts to follow. Resolves once everything up to now is known, and rejects after this many milliseconds. */
  start(within: number): Promise<void> {
    void this.#follow()
    return new Promise((done, refused) => {
      const failed = () => new Error(`${this.url}: ${this.problem ?? 'no answer'}`)
      const late = setTimeout(() => refused(failed()), within)
      this.#isCurrent = () => (clearTimeout(late), done())
      this.#isRefused = () => (clearTimeout(late), refused(failed()))
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#connection?.abort()
    clearTimeout(this.#pause?.timer)
    this.#pause?.end()
  }

  /** How long nothing was heard, in milliseconds. */
  get staleFor(): number {
    if (!this.#heard) return Infinity
    return Math.max(performance.now() - this.#heard.monotonic, Date.now() - this.#heard.wall, 0)
  }

  /** Drops expired entries. If there was no room for some and now there is, everything is read once more. */
  sweep(): void {
    if (this.revocations.sweep() === 0 || this.revocations.isWhole) return
    this.position = undefined
    this.#connection?.abort(new Error('there is room again for all revocations'))
  }

  async #follow() {
    for (let wait = FIRST_WAIT; !this.#isStopped; wait = Math.min(wait * 2, MAX_WAIT)) {
      const before = this.#heard
      try {
        await this.#listen()
        this.problem = 'the server ended the feed'
      } catch (error) {
        const { message, cause } = error as Error
        this.problem = cause instanceof Error ? `${message}: ${cause.message}` : message
        // Waiting longer doesn't make the secret right.
        if (error instanceof Refused && this.reconnects >= TRIES) this.#isRefused?.()
      }
      // A feed that worked begins with short delays again.
      if (this.#heard !== before) wait = FIRST_WAIT
      this.reconnects += 1
      if (this.#isStopped) return
      const time = wait * (1 + Math.random())
      await new Promise<void>((end) => (this.#pause = { timer: setTimeout(end, time), end }))
    }
  }

  async #listen() {
    // One for each connection: nothing of it stays when it ends.
    const connection = new AbortController()
    this.#connection = connection
    const timer = setTimeout(() => connection.abort(new Error('the feed fell silent')), SILENCE)
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream', authorization: this.authorization }
      if (this.position) headers['last-event-id'] = this.position
      this.#snapshot = this.position ? undefined : this.revocations.mark()
      this.#askedAt = performance.now()
      const response = await fetch(this.url, { headers, signal: connection.signal, redirect: 'error' })
      if (response.status === 401) throw new Refused('it answered 401 to the client or the feed secret')
      if (!response.ok || !response.body) throw new Error(`it answered ${response.status}`)
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
        throw new Error('its feed is no stream of events')
      }
      for await (const event of events(response.body)) {
        timer.refresh()
        this.#take(event)
      }
    } finally {
      clearTimeout(timer)
      connection.abort()
    }
  }

  /** Handles one event. An unknown kind is ignored, and its id counts like any other. */
  #take({ event, id, data }: Event) {
    // What is known stays in force until the new snapshot is complete.
    if (event === 'reset') {
      this.#snapshot = this.revocations.mark()
      this.position = undefined
      return
    }
    if (event === 'revoked') this.revocations.take(batch(data))
    const said = event === 'current' ? current(data) : undefined
    if (said) this.#complete(said)
    // An id counts once its event is in memory.
    if (POSITION.test(id)) this.position = id
    if (said) this.#hear(said)
  }

  /**
   * The snapshot is complete. What was known before and is not in it stays: versions never go back, not even in a
   * restored database.
   */
  #complete({ keys }: Current) {
    if (this.#snapshot !== undefined) this.revocations.loaded(this.#snapshot)
    this.#snapshot = undefined
    if (keys !== undefined) this.keysAre(keys)
  }

  /** Nothing is missing. */
  #hear({ now }: Current) {
    if (now !== undefined) {
      const isLate = this.clock.hear(now, this.#askedAt)
      this.#askedAt = undefined
      if (isLate) throw new Error('the feed is late: its server said this a while ago')
    }
    this.#heard = { monotonic: performance.now(), wall: Date.now() }
    const { isWhole } = this.revocations
    this.problem = isWhole ? this.clock.problem : 'more revocations than maxRevocations'
    if (isWhole) this.#isCurrent?.()
    else this.#isRefused?.()
  }
}

class Refused extends Error {}

interface Event {
  event: string
  id: string
  data: string
}

/** Parses the server-sent events of a body (HTML section 9.2.6), as far as Doorward uses them. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let event: Event = { event: '', id: '', data: '' }
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw new Error('a line is too long')
    for (const line of lines) {
      const [, name, value = ''] = /^(event|id|data): ?(.*?)\r?$/.exec(line) ?? []
      if (name === 'data') event.data += (event.data && '\n') + value
      else if (name) event[name as 'event' | 'id'] = value
      if (event.data.length > MAX_LINE) throw new Error('an event is too long')
      if (line !== '' && line !== '\r') continue
      if (event.event || event.id || event.data) yield event
      event = { event: '', id: '', data: '' }
    }
  }
}
