import type { Revocations } from './revocations.js'

/** The server speaks every 5 s: so long without a word, and the connection counts as dead, in milliseconds. */
const SILENCE = 15_000
const MAX_LINE = 1024 * 1024
const MAX_WAIT = 10_000

/** Follows the revocations of a server: from where it was, through restarts and cut connections. */
export class Feed {
  position?: string
  reconnects = 0
  /** Why it is not connected at the moment. */
  problem?: string
  /** When the server last said that nothing is missing. One clock goes on while a machine sleeps, nobody sets the other. */
  #heard?: { monotonic: number; wall: number }
  #stop = new AbortController()
  #isCurrent?: () => void
  #isRefused?: () => void

  constructor(
    private readonly url: URL,
    private readonly authorization: string,
    private readonly revocations: Revocations,
    private readonly keysAre: (fingerprint: string) => void,
  ) {}

  /** Follows from now on; done when everything of until now is known, or refused after so many milliseconds. */
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
    this.#stop.abort()
  }

  /** For how long nothing was heard, in milliseconds. */
  get staleFor(): number {
    if (!this.#heard) return Infinity
    return Math.max(performance.now() - this.#heard.monotonic, Date.now() - this.#heard.wall, 0)
  }

  async #follow() {
    for (let wait = 100; !this.#stop.signal.aborted; wait = Math.min(wait * 2, MAX_WAIT)) {
      const before = this.#heard
      try {
        await this.#listen()
        this.problem = 'the server ended the feed'
      } catch (error) {
        const { message, cause } = error as Error
        this.problem = cause instanceof Error ? `${message}: ${cause.message}` : message
        // Waiting makes no other secret of it.
        if (error instanceof Refused) this.#isRefused?.()
      }
      // A feed that worked begins with short waits again.
      if (this.#heard !== before) wait = 100
      this.reconnects += 1
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, wait * (0.5 + Math.random() / 2))
        this.#stop.signal.addEventListener('abort', () => (clearTimeout(timer), wake()), { once: true })
      })
    }
  }

  async #listen() {
    const silent = new AbortController()
    const timer = setTimeout(() => silent.abort(new Error('silence')), SILENCE)
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream', authorization: this.authorization }
      if (this.position) headers['last-event-id'] = this.position
      const signal = AbortSignal.any([silent.signal, this.#stop.signal])
      const response = await fetch(this.url, { headers, signal, redirect: 'error' })
      if (response.status === 401) throw new Refused('it answered 401 to the client or the feed secret')
      if (!response.ok || !response.body) throw new Error(`it answered ${response.status}`)
      for await (const event of events(response.body)) {
        timer.refresh()
        this.#take(event)
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #take({ event, id, data }: Event) {
    if (event === 'revoked') this.revocations.take(JSON.parse(data))
    // What is known stays in force until everything has been told again.
    if (event === 'reset') this.position = undefined
    if (event === 'current' && this.#isWhole()) {
      this.#heard = { monotonic: performance.now(), wall: Date.now() }
      this.problem = undefined
      this.keysAre(String(JSON.parse(data).keys))
      this.#isCurrent?.()
    }
    if (id) this.position = id
  }

  /** Whether everything found room. What did not is read again once there is room; until then nothing counts as heard. */
  #isWhole() {
    const { revocations } = this
    if (!revocations.overflowed) return true
    this.problem = 'more revocations than maxRevocations'
    revocations.sweep(Date.now() / 1000)
    if (revocations.isFull) {
      this.#isRefused?.()
      return false
    }
    this.position = undefined
    revocations.overflowed = false
    throw new Error(this.problem)
  }
}

class Refused extends Error {}

interface Event {
  event: string
  id: string
  data: string
}

/** The server-sent events of a body (HTML section 9.2.6), as far as our server makes them. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const decoder = new TextDecoder()
  let rest = ''
  let event: Event = { event: '', id: '', data: '' }
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw new Error('a line is too long')
    for (const line of lines) {
      const [, name, value = ''] = /^(event|id|data): ?(.*?)\r?$/.exec(line) ?? []
      if (name) event[name as keyof Event] = value
      if (line !== '' && line !== '\r') continue
      if (event.event) yield event
      event = { event: '', id: '', data: '' }
    }
  }
}
