// The page of requests: the list as they come, and the chosen one as a diagram.

const beside = (name) => new URL(name + new URL(import.meta.url).search, import.meta.url)
const { clock, draw, element, span, words } = await import(beside('diagram.js'))

const MOST_ROWS = 500
// A read does not take the place of a change so soon: a login is followed by the page after it.
const KEEP_CHANGE_MS = 4_000
// Drawn at most so often while the newest is followed.
const DRAW_EVERY_MS = 400

const by = (id) => document.getElementById(id)
const { base, audited } = document.querySelector('.requests').dataset
const tables = await words()
const flows = new Map()
const filter = by('filter')
const state = { chosen: undefined, drawn: undefined, changedAt: 0, dropped: 0, stream: undefined, paused: false }

// ---- The stream.

function query() {
  const typed = new URLSearchParams()
  for (const [name, value] of new FormData(filter)) {
    const text = value.trim()
    if (text) typed.set(name === 'user' && text.includes('@') ? 'address' : name, text)
  }
  return typed
}

async function problemOf(answer) {
  const problem = await answer.json().catch(() => ({}))
  const field = problem.fields?.[0]
  return field ? `${field.field} ${field.message}` : problem.message ?? `The server answered ${answer.status}`
}

function say(text) {
  if (by('state').textContent !== text) by('state').textContent = text
}

// Reads server-sent events from a body.
async function* events(body) {
  const decoder = new TextDecoder()
  let rest = ''
  for (const reader = body.getReader(); ; ) {
    const { done, value } = await reader.read()
    if (done) return
    rest += decoder.decode(value, { stream: true })
    const blocks = rest.split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? []
      if (event) yield { event, data: JSON.parse(data) }
    }
  }
}

async function watch() {
  state.stream?.abort()
  const stream = (state.stream = new AbortController())
  const { signal } = stream
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 8_000)) {
    try {
      const answer = await fetch(`${base}/flow?${query()}`, { signal, headers: { Accept: 'text/event-stream' } })
      if (!answer.ok) {
        const problem = await problemOf(answer)
        if (answer.status < 500) return say(`${problem}.`)
        say(answer.status === 503 ? 'Too many people watch at once, or the server is busy. Trying again.' : `${problem}.`)
      } else {
        wait = 500
        for await (const { event, data } of events(answer.body)) take(event, data)
        if (!signal.aborted) say('The stream ended. Trying again.')
      }
    } catch {
      if (!signal.aborted) say('The server does not answer. Trying again.')
    }
    await new Promise((go) => setTimeout(go, wait))
  }
}

function take(event, data) {
  if (event === 'flow' && !flows.has(data.id)) {
    flows.set(data.id, data)
    while (flows.size > MOST_ROWS) flows.delete(flows.keys().next().value)
    waiting.push(data)
    if (waiting.length > MOST_ROWS) waiting.shift()
  } else if (event === 'dropped') {
    state.dropped += data.count
  } else if (event === 'refusals') {
    showRefusals(data)
  }
  soon()
}

// ---- The list. What came is shown together, at most once a frame.

const waiting = []
let asked = false
function soon() {
  if (asked) return
  asked = true
  // A hidden tab gets no frames, and needs none.
  requestAnimationFrame(() => {
    asked = false
    show()
  })
}

// What people look for: a change, or a refusal.
const isChange = (flow) => Boolean(flow.code) || !['GET', 'HEAD', 'OPTIONS'].includes(flow.method)

function row(flow) {
  const failed = Boolean(flow.code)
  const link = element(
    'a',
    { href: `${base}/flow/${encodeURIComponent(flow.id)}`, 'data-id': flow.id, class: failed ? 'request failed' : 'request' },
    element('time', {}, clock(flow.at)),
    element('span', { class: 'where' }, element('b', {}, flow.method), ` ${flow.route}`),
    element('span', { class: 'verdict' }, element('span', { 'aria-hidden': 'true' }, failed ? '✗ ' : '✓ '), `${flow.status}`),
    failed && element('span', { class: 'code' }, flow.code),
  )
  if (flow.id === state.chosen) link.setAttribute('aria-current', 'true')
  return element('li', {}, link)
}

function show() {
  const list = by('list')
  const news = waiting.splice(0)
  list.prepend(...news.map(row).reverse())
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove()
  const { size } = flows
  say(state.paused ? 'Paused' : 'Live')
  const counts = [
    size === 0 ? 'no request yet' : size === 1 ? '1 request' : `${size} requests`,
    state.dropped > 0 && `${state.dropped.toLocaleString()} came too fast to be recorded`,
  ]
  by('count').textContent = counts.filter(Boolean).map((text) => `· ${text}`).join(' ')
  if (by('follow').checked && news.length) follow(news)
}

function follow(news) {
  const newest = news.findLast(isChange) ?? news.at(-1)
  const chosen = flows.get(state.chosen)
  const keeps = chosen && isChange(chosen) && !isChange(newest) && newest.at - chosen.at < KEEP_CHANGE_MS
  if (keeps && newest.at >= chosen.at) return
  const wait = state.changedAt + DRAW_EVERY_MS - performance.now()
  clearTimeout(state.later)
  if (wait <= 0) choose(newest, true)
  else state.later = setTimeout(() => by('follow').checked && choose(newest, true), wait)
}

// ---- Refusals by their first failed check.

function showRefusals(groups) {
  const codes = new Map()
  for (const group of groups) {
    const all = codes.get(group.code) ?? { count: 0, known: [], since: group.since, sample: '' }
    all.count += group.count
    all.since = Math.min(all.since, group.since)
    all.sample ||= group.sample
    if (group.verb !== null && tables.verbs[group.verb]) all.known.push(group)
    codes.set(group.code, all)
  }
  const minute = (at) => new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const times = (count) => `× ${count.toLocaleString()}`
  const line = (what, code, count, since, sample) => {
    const item = element('li', {},
      element('button', { type: 'button', class: 'plain-link', 'data-verdict': code }, what), ' ',
      element('span', { class: 'code quiet' }, code), element('br'),
      element('strong', {}, times(count)), element('span', { class: 'quiet' }, ` since ${minute(since)} `))
    if (sample) item.append(element('a', { href: `${base}/flow/${encodeURIComponent(sample)}`, 'data-id': sample }, 'the last one'))
    return item
  }
  const said = ({ verb, check }) => [tables.verbs[verb].failed, check].filter(Boolean).join(': ')
  const items = []
  for (const [code, all] of [...codes].sort(([, a], [, b]) => b.count - a.count)) {
    const [only] = all.known
    if (all.known.length <= 1) {
      items.push(line(only ? said(only) : 'Refused', code, all.count, all.since, only?.sample || all.sample))
      continue
    }
    for (const group of all.known) items.push(line(said(group), code, group.count, group.since, group.sample))
    const rest = all.count - all.known.reduce((sum, { count }) => sum + count, 0)
    if (rest) items.push(line('Check not recorded', code, rest, all.since, ''))
  }
  by('refusals').replaceChildren(...items)
  const count = groups.reduce((sum, group) => sum + group.count, 0)
  by('refused-count').textContent = count ? times(count) : ''
  by('refused').hidden = count === 0
}

// ---- The chosen one.

function choose(flow, isFollowed = false) {
  state.chosen = flow.id
  state.changedAt = performance.now()
  for (const link of document.querySelectorAll('#list [aria-current]')) link.removeAttribute('aria-current')
  document.querySelector(`#list a[data-id="${CSS.escape(flow.id)}"]`)?.setAttribute('aria-current', 'true')
  by('chosen-title').textContent = `${flow.method} ${flow.route}`
  const at = `${base}/flow/${encodeURIComponent(flow.id)}`
  const file = (name, ending) => element('a', { href: `${at}.${ending}`, download: '' }, name)
  const png = element('button', { type: 'button', class: 'plain-link', id: 'png' }, 'PNG')
  png.addEventListener('click', () => savePng(at, flow.id))
  by('about').replaceChildren(
    element('p', { class: 'summary' },
      element('span', { class: flow.code ? 'chip off' : 'chip' }, flow.code ? `✗ ${flow.status} ${flow.code}` : `✓ ${flow.status}`),
      ` at ${clock(flow.at)}, took ${span(flow.total_us)}`,
      element('br'), element('span', { class: 'quiet' }, 'Request ', element('a', { href: at, class: 'code' }, flow.id))),
    element('p', { class: 'exports' }, element('span', { class: 'quiet' }, 'Save as '), file('SVG', 'svg'), ' ', png, ' ',
      file('text', 'txt'), ' ', file('Mermaid', 'mmd'), ' ', file('file for support', 'flow.json')),
  )
  draw(by('diagram'), flow, tables, { origin: location.origin + base })
  // Each look at a story is audited, so none is looked at unasked.
  tell(isFollowed && audited !== undefined ? undefined : flow.story?.session, flow.id)
}

const GONE = 'It is not in memory any more. Memory holds the last 2,000 requests, outside development mode for 15 minutes.'

function shown(text) {
  by('diagram').replaceChildren()
  by('story').hidden = true
  by('chosen-title').textContent = 'No such request'
  by('about').replaceChildren(element('p', {}, text))
}

// The request of the address that the page was loaded from, if the server has none.
let missing
async function find(id) {
  const known = flows.get(id)
  if (known) {
    choose(known)
    return
  }
  if (id === missing) return shown(GONE)
  try {
    const answer = await fetch(`${base}/flow/${encodeURIComponent(id)}`, { headers: { Accept: 'application/json' } })
    if (answer.ok) return choose(await answer.json())
    shown(answer.status === 404 ? GONE : `${await problemOf(answer)}.`)
  } catch {
    shown('The server does not answer.')
  }
}

async function savePng(at, id) {
  const image = new Image()
  image.src = `${at}.svg`
  if (!(await image.decode().then(() => true, () => false))) return say('The request is not in memory any more.')
  const scale = 2
  const canvas = element('canvas')
  canvas.width = image.naturalWidth * scale
  canvas.height = image.naturalHeight * scale
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height)
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'))
  const link = element('a', { href: URL.createObjectURL(blob), download: `${id}.png` })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

// ---- The story of its session.

const METHODS = { pwd: 'password', otp: 'one-time code', swk: 'passkey', hwk: 'security key', mfa: 'two factors' }
const MODES = { bearer: 'bearer tokens', cookie: 'tokens in cookies', session: 'a session id in a cookie' }
const ENDS = {
  logout: 'signed out', ended_by_user: 'ended by its owner from elsewhere', replaced: 'replaced by a new sign-in of the same client',
  too_many: 'ended, as there were too many sessions', password_changed: 'ended by a new password',
  refresh_reused: 'ended, as a refresh token was used twice', disabled: 'ended, as the account was disabled',
  deleted: 'ended with its account', ended_by_admin: 'ended by an admin', revoked: 'revoked by a registered client', expired: 'expired',
}
const HIDDEN = ['login', 'login_failed', 'logout', 'login_pending', 'sessions_ended', 'logout_all', 'refresh_reused', 'register']

let storyOf
async function tell(session, id) {
  clearTimeout(storyOf)
  if (!session) {
    by('story').hidden = true
    return
  }
  // The story of the last one, if several are drawn at once.
  storyOf = setTimeout(async () => {
    const answer = await fetch(`${base}/flow/stories/${encodeURIComponent(session)}`).catch(() => undefined)
    if (state.chosen !== id) return
    by('story').hidden = !answer?.ok
    if (answer?.ok) showStory(await answer.json(), id)
  }, 150)
}

function showStory(story, id) {
  const when = (at) => clock(Date.parse(at))
  const event = (text, at, kind) => element('li', { class: kind }, element('span', {}, text), element('time', { class: 'quiet', datetime: at }, when(at)))
  const how = story.methods.map((name) => METHODS[name] ?? name).join(' and ')
  const parts = [event(`signed in by ${how} on ${story.device}, with ${MODES[story.mode] ?? story.mode}`, story.began_at, 'begin')]
  if (story.generation) {
    parts.push(event(story.generation === 1 ? '1 refresh' : `${story.generation} refreshes`, story.renewed_at ?? story.began_at, 'renewed'))
  }
  for (const { action, actor, detail, at } of story.changes) {
    if (HIDDEN.includes(action)) continue
    const by = actor === 'owner' ? '' : ` by ${actor === 'command_line' ? 'the command line' : `the ${actor}`}`
    parts.push(event(`${action.replaceAll('_', ' ')}${detail ? ` (${detail})` : ''}${by}`, at, 'change'))
  }
  if (story.end_reason) {
    const text = (ENDS[story.end_reason] ?? story.end_reason) + (story.ended_by ? `: ${story.ended_by}` : '')
    parts.push(event(text, story.ends_at, 'end'))
  } else parts.push(element('li', { class: 'alive' }, 'is alive'))
  const chain = story.renewals.map(({ generation, flow, code }) => element('li', {},
    element('a', { href: `${base}/flow/${encodeURIComponent(flow)}`, 'data-id': flow, ...(flow === id ? { 'aria-current': 'true' } : {}), class: code ? 'failed' : undefined },
      code ? `✗ ${generation ?? code}` : String(generation ?? '↻'))))
  by('story').replaceChildren(
    element('h3', {}, 'The story of this session'),
    element('ol', { class: 'story-line' }, ...parts),
    ...(chain.length ? [element('h4', {}, 'Generations of its refresh token'), element('ol', { class: 'chain', 'aria-label': 'Generations' }, ...chain)] : []),
    element('p', {}, element('button', { type: 'button', class: 'plain-link', 'data-session': story.session }, 'Only requests of this session')),
  )
}

// ---- What people do.

function refilter() {
  const typed = query()
  by('filtered').textContent = [...typed.values()].join(', ')
  const search = typed.size ? `?${typed}` : ''
  history.replaceState(null, '', location.pathname + search)
  flows.clear()
  waiting.length = 0
  state.dropped = 0
  by('list').replaceChildren()
  if (state.paused) by('pause').click()
  else watch()
}

const chosenInAddress = () => {
  const [, id] = /\/flow\/([^/]+)$/.exec(location.pathname) ?? []
  return id && decodeURIComponent(id)
}

document.addEventListener('click', (event) => {
  const target = event.target.closest('[data-id], [data-verdict], [data-session]')
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return
  const { id, verdict, session } = target.dataset
  if (id) {
    event.preventDefault()
    by('follow').checked = false
    history.pushState(null, '', target.getAttribute('href') + location.search)
    find(id)
    return
  }
  filter.reset()
  if (verdict) filter.elements.verdict.value = verdict
  if (session) filter.elements.session.value = session
  by('filters').open = true
  refilter()
})
addEventListener('popstate', () => {
  const id = chosenInAddress()
  if (id) find(id)
})
by('pause').addEventListener('click', () => {
  state.paused = !state.paused
  by('pause').setAttribute('aria-pressed', String(state.paused))
  by('pause').textContent = state.paused ? 'Go on' : by('pause').dataset.pause
  if (state.paused) {
    state.stream.abort()
    show()
  } else watch()
})
by('pause').dataset.pause = by('pause').textContent
// Nothing changes under the hands of who reads a diagram.
document.querySelector('.chosen').addEventListener('focusin', () => (by('follow').checked = false))
filter.addEventListener('submit', (event) => {
  event.preventDefault()
  refilter()
})
filter.addEventListener('reset', () => setTimeout(refilter))
// Up and down go from request to request.
by('list').addEventListener('keydown', (event) => {
  const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key]
  const next = step && event.target.closest('li')?.[step]?.firstElementChild
  if (!next) return
  event.preventDefault()
  next.focus()
})

for (const [name, value] of new URLSearchParams(location.search)) {
  const field = filter.elements[name === 'address' ? 'user' : name]
  if (field && 'value' in field) field.value = value
}
by('filtered').textContent = [...query().values()].join(', ')
const linked = chosenInAddress()
missing = 'missing' in document.querySelector('.requests').dataset ? linked : undefined
if (linked) {
  by('follow').checked = false
  find(linked)
}
say('Waiting for requests')
watch()
