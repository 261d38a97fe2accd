// Reads a flow from outside: what is not of the right form is refused, every text stays a text.

const MOST_STEPS = 64
const MOST_FACTS = 12

// The members of each type of fact; one with a question mark may be missing.
const FACTS = {
  text: { label: 'label', text: 'text' },
  seen: { label: 'label', text: 'text' },
  count: { label: 'label', count: 'number' },
  id: { label: 'label', id: 'text' },
  span: { label: 'label', us: 'number' },
  at: { label: 'label', at: 'number' },
  check: { check: 'text', passed: 'boolean', found: 'text?' },
  claims: {
    algorithm: 'text', key: 'text', user: 'text', session: 'text', role: 'text', version: 'number',
    signed_in_at: 'number', issued_at: 'number', expires_at: 'number',
  },
  foreign: { algorithm: 'text?', key: 'text?', length: 'number' },
  cookie: {
    name: 'text', path: 'text', domain: 'text?', max_age: 'number?', http_only: 'boolean', secure: 'boolean',
    same_site: 'text',
  },
  hash: { algorithm: 'text', cost: 'text' },
}

// What could hide, reorder or break text.
const HIDES =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu

function clean(text, most = 200) {
  const shown = text.slice(0, most).replace(HIDES, (c) => `\\u{${c.codePointAt(0).toString(16)}}`)
  return text.length > most ? `${shown}…` : shown
}

const refuse = (problem) => {
  throw new Error(problem)
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function member(value, type, where, words) {
  if (type.endsWith('?')) {
    if (value === undefined || value === null) return undefined
    type = type.slice(0, -1)
  }
  if (type === 'label') {
    return Number.isInteger(value) && words.labels[value] !== undefined
      ? words.labels[value]
      : refuse(`${where} has no such label.`)
  }
  const wanted = type === 'text' ? 'string' : type
  if (typeof value !== wanted || (wanted === 'number' && !Number.isSafeInteger(value))) {
    refuse(`${where} lacks a ${type}.`)
  }
  return wanted === 'string' ? clean(value) : value
}

function fact(unknown, where, words) {
  const type = isObject(unknown) && Object.hasOwn(FACTS, unknown.type) ? unknown.type : refuse(`${where} has a fact of no known type.`)
  const read = { type }
  for (const [name, of] of Object.entries(FACTS[type])) {
    read[name] = member(Object.hasOwn(unknown, name) ? unknown[name] : undefined, of, `A fact of ${where.toLowerCase()}`, words)
  }
  return read
}

function step(unknown, place, words) {
  const where = `Step ${place + 1}`
  if (!isObject(unknown)) refuse(`${where} is no object.`)
  const verb = Number.isInteger(unknown.verb) ? words.verbs[unknown.verb] : undefined
  if (!verb) refuse(`${where} has no such verb.`)
  if (!['done', 'passed', 'failed'].includes(unknown.verdict)) refuse(`${where} has no such verdict.`)
  const facts = unknown.facts ?? []
  if (!Array.isArray(facts) || facts.length > MOST_FACTS) refuse(`${where} has more than ${MOST_FACTS} facts.`)
  return {
    verb,
    verdict: unknown.verdict,
    at_us: member(unknown.at_us, 'number', where, words),
    took_us: member(unknown.took_us, 'number?', where, words),
    facts: facts.map((one) => fact(one, where, words)),
  }
}

// A flow, or an Error whose message says what was wrong. Its verbs and labels are those of the tables. `unknown` is a
// flow, or a file with one: `{doorward_flow: 1, flow}`.
export function read(unknown, words) {
  if (!isObject(unknown)) refuse('This is no flow.')
  if (unknown.doorward_flow !== undefined) {
    if (unknown.doorward_flow !== 1) refuse('This flow is of another version of Doorward.')
    unknown = unknown.flow
    if (!isObject(unknown)) refuse('This file has no flow.')
  }
  const { steps, story = {} } = unknown
  if (!Array.isArray(steps)) refuse('This is no flow: it has no steps.')
  if (steps.length > MOST_STEPS) refuse(`A flow has at most ${MOST_STEPS} steps.`)
  if (!isObject(story)) refuse('The story is no object.')
  const of = (value, type) => member(value, type, 'The flow', words)
  return {
    id: of(unknown.id, 'text'),
    at: of(unknown.at, 'number'),
    sender: unknown.sender === 'browser' ? 'browser' : 'program',
    method: of(unknown.method, 'text'),
    route: of(unknown.route, 'text'),
    status: of(unknown.status, 'number'),
    code: of(unknown.code, 'text?'),
    total_us: of(unknown.total_us, 'number'),
    story: {
      session: of(story.session, 'text?'),
      user: of(story.user, 'text?'),
      generation: of(story.generation, 'number?'),
    },
    steps: steps.map((one, place) => step(one, place, words)),
    cut: of(unknown.cut, 'number?') ?? 0,
  }
}
