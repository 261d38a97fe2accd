// What a step says when it is opened: a plain sentence first, the header second, the standard third, then its facts.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue
    if (name === 'class') made.className = value
    else made.setAttribute(name, value === true ? '' : value)
  }
  // A text becomes a text node: nothing is ever read as markup.
  made.append(...children.filter((child) => child !== undefined && child !== null && child !== false && child !== ''))
  return made
}

const code = (text) => element('code', {}, text)

// A span in words: 55 ms, 12 s, 13 min, 5 h, 30 days.
export function span(us) {
  if (us < 1_000) return `${us} µs`
  if (us < 10_000) return `${(us / 1_000).toFixed(1)} ms`
  if (us < 1_000_000) return `${Math.round(us / 1_000)} ms`
  const seconds = us / 1_000_000
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

const ago = (at, now) => (at <= now ? `${span((now - at) * 1_000)} ago` : `in ${span((at - now) * 1_000)}`)
const until = (at, now) => (at <= now ? `${span((now - at) * 1_000)} before` : `${span((at - now) * 1_000)} after`)
export const clock = (at) => {
  const date = new Date(at)
  return Number.isNaN(date.valueOf()) ? '' : date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
}

export const labelled = (step, label) => step.facts.find((fact) => fact.label === label)
const seconds = (at) => Math.floor(at / 1_000)

// A list of name, value and one sentence each.
function particulars(rows) {
  const list = element('dl', { class: 'particulars' })
  for (const [name, value, sentence] of rows) {
    const what = element('dd', {}, value)
    if (sentence) what.append(' ', element('span', { class: 'quiet' }, sentence))
    list.append(element('div', {}, element('dt', {}, name), what))
  }
  return list
}

const CLAIMS = (claims, now) => [
  ['sub', claims.user, 'Whose token it is: the id of the user, never a name or an address.'],
  ['sid', claims.session, 'The session: ending it ends this token too.'],
  ['role', claims.role, 'What the user may do is looked up by this name.'],
  ['ver', String(claims.version), 'The version of these claims: after a change of role, a token of a lower version is stale.'],
  ['auth_time', String(seconds(claims.signed_in_at)), `Signed in ${ago(claims.signed_in_at, now)}.`],
  ['iat', String(seconds(claims.issued_at)), `Issued ${ago(claims.issued_at, now)}.`],
  ['exp', String(seconds(claims.expires_at)), claims.expires_at > now ? `Expires ${ago(claims.expires_at, now)}.` : `Expired ${ago(claims.expires_at, now)}.`],
]

// The three parts of a token of ours, in three colours and with their names.
function token(claims, now) {
  const rows = CLAIMS(claims, now)
  const numbers = ['ver', 'auth_time', 'iat', 'exp']
  const body = rows.map(([name, value]) => `  ${JSON.stringify(name)}: ${numbers.includes(name) ? value : JSON.stringify(value)}`)
  const part = (kind, name, text) =>
    element('div', { class: `part ${kind}` }, element('span', { class: 'part-name' }, name), element('pre', {}, text))
  return [
    element(
      'div',
      { class: 'token' },
      part('header', 'Header', `{ "alg": ${JSON.stringify(claims.algorithm)}, "kid": ${JSON.stringify(claims.key)} }`),
      part('claims', 'Claims', `{\n${body.join(',\n')}\n}`),
      part('signature', 'Signature', 'It held. Its bytes are never recorded: with them, this page would hold a working token.'),
    ),
    element('p', { class: 'quiet' }, `Issued ${ago(claims.issued_at, now)}, ${claims.expires_at > now ? 'expires' : 'expired'} ${ago(claims.expires_at, now)}, seen from the moment of the request.`),
    particulars(rows),
  ]
}

function foreign(fact) {
  return [
    particulars([
      ['alg', fact.algorithm ?? 'not readable', 'What the token says of itself; it counts for nothing.'],
      ['kid', fact.key ?? 'none', 'The key that it names.'],
      ['length', `${fact.length} bytes`, 'Its claims are not shown: nobody has proved who wrote them.'],
    ]),
  ]
}

const SAME_SITE = {
  Strict: 'Pages and links of other sites never make the browser send it.',
  Lax: 'A link from another site sends it; forms, images and scripts of other sites do not.',
  None: 'Requests from the pages of any site send it.',
}

function cookie(fact) {
  const cleared = fact.max_age === 0
  const prefix = /^__(Host|Secure)-/.exec(fact.name)?.[1]
  const name =
    prefix === 'Host' ? 'The prefix __Host- makes browsers refuse it if another host or plain http sets it.'
    : prefix === 'Secure' ? 'The prefix __Secure- makes browsers refuse it if plain http sets it.'
    : 'Without a prefix __Host-: plain http, as on this machine, could not set one.'
  return [
    particulars([
      ['name', fact.name, name],
      ['value', cleared ? 'empty' : 'not recorded', cleared ? 'There is nothing left to send.' : 'With it, this page would hold a working credential.'],
      ['HttpOnly', fact.http_only ? 'yes' : 'no', fact.http_only ? 'No script on the page can read it.' : 'Scripts on the page can read it.'],
      ['Secure', fact.secure ? 'yes' : 'no', fact.secure ? 'It travels over https only.' : 'It also travels over plain http: good for trying things on this machine.'],
      ['SameSite', fact.same_site || 'not set', SAME_SITE[fact.same_site] ?? 'The browser decides.'],
      ['Path', fact.path, fact.path === '/' ? 'It goes to every page of this host.' : 'It goes to this path and what is below it.'],
      ['Domain', fact.domain ?? 'not set', fact.domain ? 'It goes to this domain and all hosts below it.' : 'It goes to exactly this host, to no host below it.'],
      ['Max-Age', fact.max_age === undefined ? 'not set' : `${fact.max_age}`,
        cleared ? 'The browser deletes it now.'
        : fact.max_age === undefined ? 'The browser keeps it until it is closed.'
        : `The browser keeps it for ${span(fact.max_age * 1_000_000)}.`],
    ]),
  ]
}

const ALGORITHMS = {
  bcrypt: 'Slow on purpose: each step of the cost doubles the work.',
  argon2id: 'Slow on purpose, and it needs memory, which is what guessing machines lack.',
}

// The facts of several steps of one kind, or of one.
function details(steps, now) {
  const rows = []
  const blocks = []
  for (const step of steps) {
    for (const fact of step.facts) {
      if (fact.type === 'claims') blocks.push(...token(fact, now))
      else if (fact.type === 'foreign') blocks.push(...foreign(fact))
      else if (fact.type === 'cookie') blocks.push(...cookie(fact))
      else if (fact.type === 'hash') {
        const name = Object.keys(ALGORITHMS).find((known) => fact.algorithm.startsWith(known))
        rows.push(['algorithm', fact.algorithm, ALGORITHMS[name]], ['cost', fact.cost])
      } else if (fact.type === 'check') rows.push([fact.check, fact.passed ? '✓ passed' : '✗ failed', fact.found && `found: ${fact.found}`])
      else if (fact.type === 'count') rows.push([fact.label, String(fact.count)])
      else if (fact.type === 'id') rows.push([fact.label, fact.id])
      else if (fact.type === 'span') rows.push([fact.label, span(fact.us)])
      else if (fact.type === 'at') rows.push([fact.label, clock(fact.at), `${until(fact.at, now)} the request`])
      else rows.push([fact.label, fact.text])
    }
    if (step.took_us !== undefined) rows.push(['took', span(step.took_us)])
  }
  return rows.length ? [particulars(rows), ...blocks] : blocks
}

// The line of HTTP that belongs to the step, as far as it was recorded; a secret is only named.
function header(step, flow) {
  const status = labelled(step, 'status')?.count
  const where = labelled(step, 'found in')?.text ?? ''
  const cookie = step.facts.find((fact) => fact.type === 'cookie')
  if (cookie) {
    const attributes = [
      `${cookie.name}=${cookie.max_age === 0 ? '' : '…'}`, `Path=${cookie.path}`, cookie.domain && `Domain=${cookie.domain}`,
      cookie.http_only && 'HttpOnly', cookie.secure && 'Secure', cookie.same_site && `SameSite=${cookie.same_site}`,
      cookie.max_age !== undefined && `Max-Age=${cookie.max_age}`,
    ]
    return `Set-Cookie: ${attributes.filter(Boolean).join('; ')}`
  }
  if (where.includes('Authorization')) return step.verdict === 'failed' ? 'Authorization: …' : 'Authorization: Bearer …'
  if (where.includes('cookie')) return 'Cookie: …'
  const place = labelled(step, 'to')
  if (place) return `HTTP ${status ?? flow.status}  Location: ${place.text}`
  if (status !== undefined) return `HTTP ${status}${step.verdict === 'failed' ? '  Content-Type: application/problem+json' : ''}`
  if (step.verb.from === 0 && step === flow.steps[0]) return `${flow.method} ${flow.route}`
  return undefined
}

function source(text) {
  const [, number, section] = /^RFC (\d+)(?:, section ([\d.]+))?$/.exec(text) ?? []
  if (!number) return text
  const href = `https://www.rfc-editor.org/rfc/rfc${number}${section ? `#section-${section}` : ''}`
  return element('a', { href, rel: 'noreferrer', target: '_blank' }, text)
}

// The contents of an opened step; of a folded one, those of all its steps.
export function payload(steps, flow, now) {
  const [first] = steps
  const line = steps.length === 1 ? header(first, flow) : undefined
  return [
    element('p', { class: 'says' }, first.verb.sentence),
    line && element('p', { class: 'line' }, code(line)),
    first.verb.source && element('p', { class: 'source quiet' }, 'Source: ', source(first.verb.source)),
    ...details(steps, now),
  ].filter(Boolean)
}

const FIRST_BODIES = {
  Register: { name: '$NAME', email: '$EMAIL', password: '$PASSWORD' },
  Login: { email: '$EMAIL', password: '$PASSWORD' },
  Refresh: { refresh_token: '$REFRESH_TOKEN' },
}

// The request as commands, with $TOKEN, $COOKIE and $PASSWORD in place of values.
export function commands(flow, origin) {
  const method = /^[A-Z]{1,10}$/.test(flow.method) ? flow.method : 'GET'
  const route = /^[\w/.{}-]*$/.test(flow.route) ? flow.route.replaceAll(/\{(\w+)\}/g, (_, name) => `$${name.toUpperCase()}`) : '/'
  const where = flow.steps.map((step) => labelled(step, 'found in')?.text ?? '').join(' ')
  const headers = {}
  if (where.includes('Authorization')) headers.Authorization = 'Bearer $TOKEN'
  else if (where.includes('cookie')) headers.Cookie = '$COOKIE'
  const body = method === 'POST' ? FIRST_BODIES[flow.steps[0]?.verb.name] : undefined
  const url = origin + route
  const lines = (method === 'GET' ? [] : [`--request ${method}`])
    .concat(Object.entries(headers).map(([name, value]) => `--header "${name}: ${value}"`))
    .concat(body ? [`--json ${JSON.stringify(JSON.stringify(body))}`] : [])
  const all = body ? { ...headers, 'Content-Type': 'application/json' } : headers
  const json = (value) => JSON.stringify(value, null, 2)
  const indented = (value) => json(value).replaceAll('\n', '\n  ')
  const options = [
    `method: ${json(method)}`,
    Object.keys(all).length && `headers: ${indented(all)}`,
    body && `body: JSON.stringify(${indented(body)})`,
  ].filter(Boolean)
  const config = [
    `method: ${json(method)}`,
    `url: ${json(url)}`,
    Object.keys(headers).length && `headers: ${indented(headers)}`,
    body && `data: ${indented(body)}`,
  ].filter(Boolean)
  return {
    curl: [`curl "${url}"`, ...lines].join(' \\\n  '),
    fetch: `await fetch(${json(url)}, {\n  ${options.join(',\n  ')}\n})`,
    axios: `await axios({\n  ${config.join(',\n  ')}\n})`,
  }
}
