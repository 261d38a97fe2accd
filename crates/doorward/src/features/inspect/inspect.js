// The inspector: says what a pasted text is, and what a token says. Everything is decoded here. Only a JWT is sent, and
// only when the button is pressed.

// What a token or flow may be long, in characters.
const MOST_TOKEN = 16_000
const MOST_TEXT = 1_048_576
const SECRET = /^[\w-]{42}[AEIMQUYcgkosw048]$/
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const TIMES = ['iat', 'exp', 'nbf', 'auth_time']

const form = document.querySelector('#inspect')
const field = form.querySelector('textarea')
const chooser = form.querySelector('input[type=file]')
const result = document.querySelector('#result')
const status = document.querySelector('#said')
const listed = (id) => new Map([...document.querySelectorAll(`#${id} li`)].map((one) => [one.dataset.of, one.textContent]))
const words = listed('words')
const kinds = listed('kinds')
const say = (code, part = '') => (words.get(code) ?? code).replace('*', () => part)

// Elements are made here, and every text is text: nothing that was pasted is ever read as markup.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value)
  element.append(...children)
  return element
}

// Our own texts mark code by backticks.
const prose = (text) => text.split('`').map((part, place) => (place % 2 ? make('span', { class: 'code' }, part) : part))

function card(id, title, ...children) {
  return make('section', { class: 'card whole', 'aria-labelledby': id }, make('h2', { id }, title), ...children)
}

function decodeJson(part) {
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return null
  }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)
const lower = (value) => (typeof value === 'string' ? value.toLowerCase() : undefined)

// The kind of a text by its form, as the program's `recognise` has it; null for what may be an access token, or nothing.
function recognise(text) {
  const begins = (prefix) => text.slice(0, prefix.length).toLowerCase() === prefix
  const [id, secret] = text.split(':', 2)
  if (begins('authorization: basic ') || begins('basic ') || (ID.test(id) && SECRET.test(secret))) return 'client_credentials'
  if (begins('bearer ') || begins('authorization:')) return 'authorization_header'
  if (begins('https://') || begins('http://') || begins('/')) return ofLink(text.split('#', 1)[0])
  if (text.startsWith('{')) return ofJson(text)
  if (text.startsWith('-----BEGIN')) return text.includes('PRIVATE KEY') ? 'private_key' : null
  if (text.startsWith('$2') || text.startsWith('$argon2')) return 'password_hash'
  if (begins('cookie:') || begins('set-cookie:') || /^[A-Za-z0-9_-]+==*[^=]/.test(text)) return 'cookie'
  if (/^dr\d{1,2}\./.test(text)) return 'refresh_token'
  if (SECRET.test(text)) return 'secret'
  if (ID.test(text)) return 'id'
  const parts = text.split('.')
  const header = decodeJson(parts[0])
  if (header === null) return parts.length > 1 && parts.every((part) => SECRET.test(part)) ? 'device' : null
  if (parts.length === 5) return 'encrypted_token'
  if (lower(header.alg) === 'none') return 'unsigned_token'
  return lower(header.typ) === 'doorward-identity+jwt' ? 'identity_assertion' : null
}

function ofLink(link) {
  if (link.includes('/password/reset?token=')) return 'reset_link'
  return link.includes('/register?invite=') ? 'invitation' : 'link'
}

function ofJson(text) {
  let json
  try {
    json = JSON.parse(text)
  } catch {
    return null
  }
  const has = (name) => isObject(json) && Object.hasOwn(json, name)
  if (has('doorward_flow')) return 'flow'
  if (has('kty') && (has('d') || has('k'))) return 'private_key'
  if (has('kty') || has('keys')) return 'public_key'
  return has('token') || has('access_token') || has('refresh_token') ? 'sign_in_answer' : null
}

// What was pasted: its kind, the token in it, and what was left out around that.
function read(pasted) {
  let text = pasted.trim()
  const notes = []
  const quoted = /^(["'])(.*)\1$/s.exec(text)
  if (quoted) {
    text = quoted[2].trim()
    notes.push('quotes')
  }
  let kind = recognise(text)
  const around = [kind]
  if (kind === 'authorization_header') text = text.replace(/^authorization:\s*/i, '').replace(/^bearer\s+/i, '')
  if (kind === 'cookie') text = text.replace(/^(set-)?cookie:\s*/i, '').replace(/^[^=]*=/, '').split(';', 1)[0]
  if (text !== pasted.trim() && !quoted) {
    kind = recognise(text.trim())
    around.push(kind)
  }
  // They are not taken out: what stands in the next line may be a secret, and would be sent with the token.
  if (/\s/.test(text) && isJwt(text.replace(/\s+/g, ''))) notes.push('blanks')
  return { kinds: [...new Set(around.filter(Boolean))], token: kind === null && isJwt(text) ? text : null, text, notes }
}

// Three parts, and a header that is a JSON object.
function isJwt(text) {
  const parts = text.length <= MOST_TOKEN ? text.split('.') : []
  return parts.length === 3 && parts.every((part) => /^[\w-]+$/.test(part)) && isObject(decodeJson(parts[0]))
}

// Times, in the words of the browser's clock.
const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]]
function ago(seconds) {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1)
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'always' }).format(
    Math.trunc(seconds / size),
    unit,
  )
}

function moment(seconds) {
  const date = new Date(seconds * 1000)
  if (typeof seconds !== 'number' || Number.isNaN(date.getTime())) return ''
  const at = date.toISOString().replace(/\.\d+Z$/, 'Z')
  return `${ago(Math.round(seconds - Date.now() / 1000))}, ${at}`
}

function claims(part) {
  const rows = Object.entries(part).map(([name, value]) => {
    const shown = typeof value === 'string' ? value : JSON.stringify(value)
    const time = TIMES.includes(name) ? moment(value) : ''
    const meaning = words.has(`claim-${name}`) ? say(`claim-${name}`) : say('claim')
    return make(
      'div',
      {},
      make('dt', { class: 'code' }, name),
      make('dd', {}, make('span', { class: 'code value' }, shown), time && make('strong', {}, time), make('span', { class: 'quiet' }, meaning)),
    )
  })
  return make('dl', { class: 'claims' }, ...rows)
}

// The token in three parts. Each has a colour, a line of its own kind and a number.
function ofToken(token) {
  const parts = token.split('.')
  const names = ['header', 'payload', 'signature']
  const whole = make('p', { class: 'token code', tabindex: '0', role: 'group', 'aria-label': say('token') })
  const legend = make('ul', { class: 'legend plain' })
  names.forEach((name, place) => {
    if (place) whole.append('.')
    whole.append(make('span', { class: name }, parts[place]))
    legend.append(make('li', { class: name }, say(name)))
  })
  const tables = names.slice(0, 2).map((name, place) => {
    const decoded = decodeJson(parts[place])
    const shown = isObject(decoded) ? claims(decoded) : make('p', { class: 'quiet' }, say('unreadable'))
    return make('div', { class: `part ${name}` }, make('h3', {}, say(`${name}-title`)), shown)
  })
  return card('token-title', say('token'), whole, legend, ...tables)
}

const MARKS = { passed: '✓', failed: '✗', 'not reached': '–' }

// The verdict of the server: the first failure and what to do, then every check.
function ofVerdict(explained, skew) {
  const first = explained.checks.find((one) => one.verdict === 'failed')
  const top = make('div', { class: explained.accepted ? 'notice' : 'trouble' })
  top.append(make('p', { class: 'lead' }, make('strong', {}, `${MARKS[explained.accepted ? 'passed' : 'failed']} ${explained.verdict}`)))
  if (first) top.append(make('p', {}, make('strong', {}, `${first.check}: `), first.detail))
  if (explained.advice) top.append(make('p', {}, `${say('to-do')} `, ...prose(explained.advice)))
  if (explained.looks_like) top.append(make('p', {}, explained.looks_like))
  const checks = explained.checks.map((one) => {
    const verdict = say(one.verdict.replace(' ', '-'))
    const text = make('div', { class: 'what' }, make('strong', {}, one.check), ' ', make('span', { class: 'quiet' }, ...prose(one.meaning)))
    if (one.detail) text.append(make('p', { class: 'detail' }, one.detail))
    const mark = make('span', { class: 'mark-of', role: 'img', 'aria-label': verdict }, MARKS[one.verdict])
    return make('li', { class: one.verdict.replace(' ', '-') }, mark, text)
  })
  const times = [...explained.times, skew].map((one) => make('li', {}, one))
  return card('verdict-title', say('verdict'), top, make('ul', { class: 'plain times' }, ...times), make('ol', { class: 'checks' }, ...checks))
}

function skewInWords(before, after, now) {
  const skew = (before + after) / 2 - now
  const seconds = Math.round(Math.abs(skew) / 1000)
  if (Math.abs(skew) <= Math.max(2_000, (after - before) / 2)) return say('skew-none')
  const [unit, size] = UNITS.find(([, size]) => seconds >= size)
  const span = new Intl.NumberFormat(document.documentElement.lang, { style: 'unit', unit, unitDisplay: 'long' })
  return say(skew > 0 ? 'skew-ahead' : 'skew-behind', span.format(Math.trunc(seconds / size)))
}

// A recorded flow: `draw` checks its bounds and its schema before it draws any of it.
async function ofFlow(text) {
  const shown = make('div', { class: 'flow' })
  const beside = (name) => new URL(name + new URL(import.meta.url).search, import.meta.url).href
  const { draw, words: tables } = await import(beside('diagram.js'))
  if (!document.querySelector('#diagram')) document.head.append(make('link', { id: 'diagram', rel: 'stylesheet', href: beside('diagram.css') }))
  const known = await tables()
  try {
    draw(shown, JSON.parse(text), known, { copy: false })
  } catch (error) {
    shown.replaceChildren(make('p', { class: 'trouble' }, say('flow-bad', error.message)))
  }
  return card('flow-title', say('flow'), shown)
}

let latest = 0

// Shows what can be known here, without the server.
async function show() {
  const turn = ++latest
  const text = field.value
  status.textContent = ''
  if (!text.trim()) return result.replaceChildren()
  if (text.length > MOST_TEXT) return tell(say('too-long'))
  const { kinds: found, token, text: plain, notes } = read(text)
  const cards = []
  const about = found.map((kind) => make('p', { 'data-kind': kind }, kinds.get(kind)))
  notes.forEach((note) => about.push(make('p', { class: 'quiet' }, say(note))))
  if (!token) about.push(make('p', { class: 'quiet' }, make('strong', {}, say('not-sent'))))
  if (!found.length && !token) about.unshift(make('p', {}, say(nothing(plain))))
  if (about.length) cards.push(card('kind-title', say('kind'), ...about))
  if (found.at(-1) === 'flow') cards.push(await ofFlow(plain).catch(() => card('flow-title', say('flow'), say('failed-load'))))
  if (token) cards.push(ofToken(token))
  if (turn === latest) result.replaceChildren(...cards)
}

// Why a text is no token.
function nothing(text) {
  if (text.length > MOST_TOKEN) return 'long'
  return text.includes('.') ? 'cut' : 'nothing'
}

function tell(text) {
  status.textContent = text
  result.replaceChildren(card('kind-title', say('kind'), make('p', {}, text)))
}

async function check() {
  await show()
  const turn = latest
  const { token } = read(field.value.length > MOST_TEXT ? '' : field.value)
  if (!token) {
    status.textContent = field.value.trim() ? say('not-sent') : say('empty')
    return field.focus()
  }
  const before = Date.now()
  let verdict
  try {
    const answer = await fetch(form.dataset.post, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify({ token }),
    })
    const body = await answer.json()
    verdict = answer.ok
      ? ofVerdict(body, skewInWords(before, Date.now(), body.now))
      : card('verdict-title', say('verdict'), make('p', { class: 'trouble' }, body.message))
    status.textContent = answer.ok ? body.verdict : body.message
  } catch {
    verdict = card('verdict-title', say('verdict'), make('p', { class: 'trouble' }, say('failed-load')))
    status.textContent = say('failed-load')
  }
  if (turn === latest) result.prepend(verdict)
}

async function open(file) {
  if (!file) return
  field.value = file.size > MOST_TEXT ? '' : await file.text()
  if (file.size > MOST_TEXT) return tell(say('too-long'))
  await show()
}

field.addEventListener('input', show)
chooser.addEventListener('change', () => open(chooser.files[0]))
form.addEventListener('submit', (event) => {
  event.preventDefault()
  check()
})
field.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
})
for (const name of ['dragover', 'drop']) {
  addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return
    event.preventDefault()
    if (name === 'drop') open(event.dataTransfer.files[0])
  })
}
form.hidden = false
if (document.activeElement === document.body) field.focus()
// A browser that comes back to the page may have kept what was typed.
show()
