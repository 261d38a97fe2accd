import { DoorwardError, codeOf, isAway, isUndecided, read, unreachable } from './error.js'
import type { Exchange } from './exchange.js'
import { type Held, type Issued, KnownDevice, memory } from './kept.js'
import { Origins, isAboutToken } from './origins.js'
import type { Credentials, Mode, Options, Registration, Store, User } from './types.js'

export const createClient = (options: Options = {}): Client => new Client(options)

/** How long after an unanswered refresh its token may be sent again without counting as a copy, in milliseconds. */
const GRACE = 60_000
/** How long a refresh may take, and how long to wait for one of another tab. */
const ANSWER = 10_000
const COURTESY = 2_000

const sleep = (time: number) => new Promise((wake) => setTimeout(wake, time))

/** Signs in and out, and sends requests with the credential. */
export class Client {
  readonly mode: Mode
  #url: URL
  /** The same, as browsers reach it. */
  #publicUrl: URL
  /** The URL that changes the password. */
  #password: string
  #origins: Origins
  #send: typeof fetch
  #store: Store
  #device: KnownDevice
  /** In session mode: tokens for requests to other hosts than Doorward's. */
  #tokens?: Exchange
  /** Whether other tabs hold the same sign-in. */
  #shared: boolean
  #tabs?: BroadcastChannel

  #user: User | null | undefined
  #listeners = new Set<(user: User | null | undefined) => void>()

  /** The credential, as far as it has been read; for cookies, when they expire. */
  #held?: Held
  /** Counts the credentials so far: the refusal of an earlier one says nothing about the current one. */
  #version = 0
  #renewing?: Promise<Response | undefined>
  #unansweredSince = 0
  /** Until when to wait for another tab's refresh, or for a password change. */
  #elsewhere = 0

  constructor({ url, publicUrl, mode = 'bearer', apis = [], store, device, fetch }: Options) {
    const page = globalThis.location?.href
    if (!url && !page) throw new TypeError('Outside of a page, createClient needs the url of Doorward')
    this.#url = new URL((url ?? '/').replace(/\/*$/, '/'), page)
    this.#publicUrl = publicUrl ? new URL(publicUrl.replace(/\/*$/, '/')) : this.#url
    this.#origins = new Origins([this.#url.href, page ?? this.#url.href, ...apis.map((api) => new URL(api, page).href)])
    this.mode = mode
    this.#password = new URL('profile/password', this.#url).href
    this.#send = fetch ?? ((input, init) => globalThis.fetch(input, init))
    this.#shared = mode !== 'bearer' || !!store
    this.#store = store ?? memory()
    this.#device = new KnownDevice(device ?? memory())
    // Only in tabs: on a server it would share one person's sign-in with the others.
    if (globalThis.document && globalThis.BroadcastChannel) {
      this.#tabs = new BroadcastChannel(`doorward ${this.#url}`)
      this.#tabs.onmessage = ({ data }) => void this.#heard(data)
    }
  }

  /** Who is signed in: `null` for nobody, `undefined` while that is not known yet. */
  get user(): User | null | undefined {
    return this.#user
  }

  /** Calls `listener` at every sign-in and sign-out, in this tab and in others; returns a function that stops it. */
  onChange = (listener: (user: User | null | undefined) => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  register(registration: Registration): Promise<User> {
    return this.#enter('register', registration)
  }

  login(credentials: Credentials): Promise<User> {
    return this.#enter('login', credentials)
  }

  /** Ends this sign-in. If the server can't be reached it throws, and nothing has changed. */
  async logout(): Promise<void> {
    await this.#renewing?.catch(() => {})
    const refresh_token = (await this.#load())?.refresh_token
    await read(this.#plain('logout', { refresh_token }))
    await this.#leave()
  }

  /** Ends every sign-in of this user, on all devices, and returns how many there were. */
  async logoutAll(): Promise<number> {
    const { sessions } = await this.ask<{ sessions: number }>('logout/all', 'POST')
    await this.#leave()
    return sessions
  }

  /** Renews the credential now. Requests do that by themselves if necessary. */
  async refresh(): Promise<void> {
    if (this.mode === 'session') return
    this.#origins.tryAll()
    await this.#read()
    const refused = await this.#renew(this.#version).catch(unreachable)
    if (refused) throw await DoorwardError.of(refused.clone())
  }

  /** The signed-in user, as the server knows them. */
  async profile(): Promise<User> {
    try {
      return (await this.ask<{ user: User }>('profile')).user
    } catch (error) {
      const refused = error instanceof DoorwardError && error.status === 401
      if (refused && (error.code === 'token_missing' || this.#user === undefined)) this.#is(null)
      throw error
    }
  }

  /**
   * Calls a route of Doorward that needs a sign-in, and notices what the answer changes about the user.
   * `doorward/account` has the routes by name.
   */
  async ask<T>(path: string, method = 'GET', body?: object): Promise<T> {
    const json = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const said = await read<T & { user?: User }>(this.fetch(new URL(path, this.#url), { method, ...json }))
    if (path === 'profile') {
      if (method === 'PATCH') this.#tell({ kind: 'in', user: said.user! })
      if (method === 'DELETE') await this.#leave()
      else this.#is(said.user)
    }
    return said
  }

  /** The page that renews the cookies of a browser and redirects it: to a listed application, or beside Doorward. */
  refreshUrl(returnTo: string): string {
    return this.#pageUrl('refresh', returnTo)
  }

  /** The hosted login, which comes back to this URL. */
  signInUrl(returnTo: string): string {
    return this.#pageUrl('login', returnTo)
  }

  /** Goes to the hosted login, which comes back to this page, or to another URL of a listed application. */
  async signIn(returnTo: string = location.href): Promise<void> {
    if (this.mode === 'bearer') throw new TypeError('signIn() needs the mode session or cookie')
    ;(await import('./hosted.js')).go(this.signInUrl(returnTo))
  }

  /** Ends the sign-in of this browser, for all applications. */
  signOut(): Promise<void> {
    return this.logout()
  }

  #pageUrl(page: string, returnTo: string): string {
    return `${new URL(page, this.#publicUrl)}?return_to=${encodeURIComponent(returnTo)}`
  }

  /**
   * Like `fetch`, with the credential for Doorward, the page's own origin and `apis`. If the credential has expired, it
   * is renewed once for all waiting requests. Each of them is repeated once, unless its body is a stream.
   */
  fetch: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, globalThis.location?.href ?? this.#url)
    const request = () => new Request(input instanceof Request ? input.clone() : url, init)
    if (!this.#origins.trusts(url.origin)) return this.#send(request())
    const isStream = init?.body instanceof ReadableStream
    if (this.mode === 'session' && url.origin !== this.#url.origin) {
      const tokens = await this.#exchanging()
      if (await tokens.helps(url)) return tokens.fetch(request, isStream)
    }
    if (url.href !== this.#password) return this.#request(request, url, isStream)

    // The answer has a new credential: no answer to a refresh, of any tab, may come later and replace that.
    await this.#renewing?.catch(() => {})
    while (Date.now() < this.#elsewhere) await sleep(20)
    this.#tell({ kind: 'renewing' })
    this.#elsewhere = Date.now() + COURTESY
    try {
      const response = await this.#request(request, url, isStream)
      if (response.ok) await this.#changed(response.clone())
      return response
    } finally {
      this.#elsewhere = 0
    }
  }

  /** Sends the request, and once more if another credential may help. */
  async #request(request: () => Request, url: URL, isStream: boolean): Promise<Response> {
    await this.#read()
    if (this.#held && Date.now() >= this.#held.expires) await this.#renew(this.#version)
    const version = this.#version
    const first = request()
    const isOurs = !first.headers.has('authorization')
    const response = await this.#as(first)
    const { origin } = new URL(response.url || url)
    const code = isOurs && this.#origins.trusts(origin) ? await codeOf(response) : ''
    if (code.startsWith('session_')) await this.#over(version)
    if (this.mode === 'session' && isAboutToken(code)) {
      // An API that shares the cookie may not say why: Doorward does.
      if (origin !== this.#url.origin && this.#origins.mayHelp(origin)) {
        await this.profile().catch(() => {})
        if (this.#user) this.#learn(code, origin)
      }
      if (code === 'token_stale' && !isStream) return (await import('./exchange.js')).again((one) => this.#as(one), request, response)
    }
    if (!this.#mayHelp(code, version, origin)) return response
    const refused = await this.#renew(version)
    if (refused && !isUndecided(refused.status)) this.#learn(code, origin)
    if (refused?.status === 401) {
      // From Doorward itself, the end of the session says more than that the token was stale.
      const isOver = origin === this.#url.origin && (await codeOf(refused)).startsWith('session_')
      return isOver ? refused.clone() : response
    }
    if (refused) return refused.clone()
    if (version === this.#version || isStream) return response
    await response.body?.cancel()
    const repeated = await this.#as(request())
    this.#learn(await codeOf(repeated), origin)
    return repeated
  }

  /** The tokens of session mode for other hosts. */
  async #exchanging(): Promise<Exchange> {
    const { Exchange } = await import('./exchange.js')
    const over = () => ((version) => () => this.#over(version))(this.#version)
    const ask = () => this.#plain('refresh', {})
    return (this.#tokens ??= new Exchange(this.#url, this.#send, ask, () => this.#user === null, over))
  }

  /** A password change returns a new credential. */
  async #changed(response: Response) {
    const issued: Partial<Issued> = await response.json().catch(() => ({}))
    if (issued.expires_in === undefined) return
    await this.#keep(issued as Issued)
    this.#tell({ kind: 'renewed' })
  }

  /** Whether a credential other than that of `version` may help after this refusal. */
  #mayHelp(code: string, version: number, origin: string) {
    if (!isAboutToken(code) || this.mode === 'session') return false
    if (this.#user === null && (code === 'token_missing' || code === 'hidden')) return false
    return version !== this.#version || this.#origins.mayHelp(origin)
  }

  #learn(code: string, origin: string) {
    const isNew = this.#origins.learn(code, origin)
    if (isNew && this.#user !== null) console.warn(`doorward: after a refresh ${origin} still refuses the token: it stops refreshing for it`)
  }

  /** Sends the request with the current credential. */
  async #as(request: Request) {
    if (this.mode !== 'bearer') return this.#send(new Request(request, { credentials: 'include' }))
    await this.#read()
    if (this.#held && !request.headers.has('authorization')) {
      request.headers.set('authorization', `Bearer ${this.#held.token}`)
    }
    return this.#send(request)
  }

  /** Calls a route that creates, renews or ends a sign-in. */
  #plain(path: string, body: object, init?: RequestInit): Promise<Response> {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(body), ...init }
    return this.#as(new Request(new URL(path, this.#url), request))
  }

  async #enter(path: string, body: object): Promise<User> {
    // The answer to an earlier sign-in must not come later and replace this one's cookies.
    await this.#renewing?.catch(() => {})
    // In the other modes a cookie holds the device.
    const device = this.mode === 'bearer' ? await this.#device.read() : undefined
    const asked = this.#plain(path, { ...body, mode: this.mode, device })
    const entered = await read<Issued & { user: User; device?: string }>(asked)
    await this.#keep(entered)
    if (entered.device) await this.#device.keep(entered.device)
    this.#origins.tryAll()
    this.#tell({ kind: 'in', user: entered.user })
    this.#is(entered.user)
    return entered.user
  }

  /** Renews the credential, unless another one has come since `version`. Returns the answer if it was refused. */
  #renew(version: number): Promise<Response | undefined> {
    if (version !== this.#version) return Promise.resolve(undefined)
    this.#renewing ??= this.#insist(version).finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  /**
   * If the answer to a refresh was lost, the refresh may have counted. For a minute the same token gets the same
   * successor; after that it is a copy. So the refresh is repeated until there is an answer, even if no request waits
   * any more.
   */
  async #insist(version: number): Promise<Response | undefined> {
    for (let wait = 250; ; wait *= 2) {
      try {
        const refused = await this.#exchange(version)
        if (refused && isAway(refused.status)) this.#insistLater()
        else this.#unansweredSince = 0
        // A password change has replaced it, and the successor is on its way to this browser or this store.
        const isReplaced = refused && wait <= 2_000 && (await codeOf(refused)) === 'token_stale'
        if (!isReplaced) return refused
      } catch (error) {
        if (wait > 2_000) {
          this.#insistLater()
          throw error
        }
      }
      await sleep(wait * (0.5 + Math.random() / 2))
    }
  }

  #insistLater() {
    this.#unansweredSince ||= Date.now()
    if (Date.now() - this.#unansweredSince > GRACE) return void (this.#unansweredSince = 0)
    const timer: unknown = setTimeout(() => this.#renew(this.#version).catch(() => {}), 3_000)
    // On a server, the timer must not keep the process alive.
    ;(timer as { unref?(): void }).unref?.()
  }

  async #exchange(version: number): Promise<Response | undefined> {
    const current = () => version === this.#version
    // This is not a lock: a tab that waits goes on alone if it hears nothing. Without it, if two tabs refresh one after
    // the other, a third tab's token on its way would look like a copy.
    while (current() && Date.now() < this.#elsewhere) await sleep(20)
    const before = await this.#load()
    if (!current()) return undefined
    if (this.mode === 'bearer') {
      if (!before) return this.#over(version, nothing())
      // Another client with the same store has renewed them already.
      if (before.token !== this.#held?.token) return this.#take(before)
    }
    this.#tell({ kind: 'renewing' })
    // `keepalive`: the answer sets its cookies even if the page is left meanwhile.
    const init = { keepalive: true, signal: AbortSignal.timeout(ANSWER) }
    const response = await this.#plain('refresh', { refresh_token: before?.refresh_token }, init)
    const body: Issued | undefined = response.ok ? await response.clone().json() : undefined
    const isDecided = body || /^(refresh_|session_|token_stale)/.test(await codeOf(response))
    if (!isDecided) return response
    const after = await this.#load()
    if (!current()) return undefined
    // If another client has stored a credential meanwhile, that one counts, and this answer is outdated.
    if (after?.refresh_token !== before?.refresh_token) return after ? this.#take(after) : this.#over(version, nothing())
    if (!body) return (await codeOf(response)) === 'token_stale' ? response : this.#over(version, response)
    await this.#keep(body)
    this.#tell({ kind: 'renewed' })
    return undefined
  }

  /** The credential of `version` no longer works. */
  async #over(version: number, refused?: Response) {
    if (version === this.#version && this.#user !== null) await this.#leave()
    return refused
  }

  async #leave() {
    const user = this.#user?.id
    // Don't clear what another client has stored since.
    const stored = await this.#load()
    if (stored && stored.token === this.#held?.token) await this.#store.set(null)
    this.#take(undefined)
    // A tab that only notices that nobody is signed in has nothing to announce.
    if (user) this.#tell({ kind: 'out', user })
    this.#is(null)
  }

  async #keep({ token, refresh_token, expires_in }: Issued) {
    const held = { token, refresh_token, expires: Date.now() + expires_in * 1000 }
    if (this.mode === 'bearer') await this.#store.set(JSON.stringify(held))
    this.#take(this.mode === 'session' ? undefined : held)
  }

  async #load(): Promise<Held | undefined> {
    if (this.mode !== 'bearer') return undefined
    try {
      return JSON.parse((await this.#store.get()) || 'null') ?? undefined
    } catch (error) {
      if (error instanceof SyntaxError) return undefined
      throw error
    }
  }

  async #read() {
    const held = await this.#load()
    this.#held ??= held
  }

  /** Replaces the credential. */
  #take(held: Held | undefined): undefined {
    this.#version += 1
    this.#held = held
    this.#tokens?.forget()
  }

  #is(user: User | null | undefined) {
    const before = this.#user
    this.#user = user
    if (textOf(before) !== textOf(user)) for (const listener of this.#listeners) listener(user)
  }

  #tell(message: Message) {
    this.#tabs?.postMessage(message)
  }

  async #heard(message: Message) {
    const out = message.kind === 'out'
    if (out && this.#user?.id !== message.user) return
    // This tab has a sign-in of its own; but a sign-out is meant for all tabs.
    if (!this.#shared) return void (out && (await this.logout().catch(() => {})))
    if (message.kind === 'renewing') return void (this.#elsewhere = Date.now() + COURTESY)
    this.#elsewhere = 0
    this.#take(undefined)
    if (message.kind === 'in') this.#origins.tryAll()
    if (message.kind !== 'renewed') this.#is(out ? null : message.user)
  }
}

/** The same for the same user, in whatever order an answer has its members. */
const textOf = (user?: User | null) => JSON.stringify(user && Object.entries(user).sort())

type Message = { kind: 'in'; user: User } | { kind: 'renewing' } | { kind: 'renewed' } | { kind: 'out'; user: string }

const nothing = () => {
  const problem = { code: 'refresh_invalid', message: 'Nobody is signed in' }
  return new Response(JSON.stringify(problem), { status: 401, headers: { 'content-type': 'application/problem+json' } })
}
