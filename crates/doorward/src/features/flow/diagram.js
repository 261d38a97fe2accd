// Draws a flow: one list of steps, which is a sequence diagram where there is room for it, and a list elsewhere.
//
// The same list is what a screen reader reads. Each step is a button that opens what it says.

const beside = (name) => new URL(name + new URL(import.meta.url).search, import.meta.url)
export const { read } = await import(beside('read.js'))
const { clock, commands, element, labelled, payload, span } = await import(beside('facts.js'))

export { clock, element, span }

let tables
// The tables of lanes, verbs and labels.
export function words() {
  tables ??= fetch(beside('words.json')).then((answer) => answer.json())
  return tables
}

const REASONS = { 200: 'OK', 201: 'Created', 204: 'No Content', 303: 'See Other', 304: 'Not Modified' }
const SENDERS = { browser: 'Browser', program: 'Program' }

// What the arrow says: its label, and the name that it is about.
export function label(step) {
  const text = step.verdict === 'failed' ? step.verb.failed : step.verb.label
  const cookie = step.facts.find((fact) => fact.type === 'cookie')
  if (cookie) return `${text}: ${cookie.name.replace(/^__(Host|Secure)-/, '')}`
  const [name, code, status] = ['name', 'code', 'status'].map((about) => labelled(step, about))
  if (step.verb.name === 'Welcome' && name) return `${text} ${name.text}!`
  if (step.verb.name === 'Refuse') return [status?.count, code?.text ?? text].filter(Boolean).join(' ')
  if (step.verb.name === 'Answer' && status) return [status.count, REASONS[status.count]].filter(Boolean).join(' ')
  return text
}

// Equal steps that follow each other are one row, unless the rows are given.
function rowsOf(steps, given) {
  if (given) return given.map((place) => (Number.isInteger(place) && steps[place] ? [place] : []))
  const rows = []
  steps.forEach((step, place) => {
    const last = rows.at(-1)
    const before = last && steps[last[0]]
    if (before && before.verb === step.verb && before.verdict === step.verdict) last.push(place)
    else rows.push([place])
  })
  return rows.flatMap((row) => (row.length > 2 ? [row] : row.map((place) => [place])))
}

// From where to where each lane is active: the server from its first step to its last, others while they are asked.
function activations(rows, steps, lanes) {
  const runs = []
  lanes.forEach((lane, column) => {
    if (lane === 0) return
    const touched = rows
      .map((row, place) => [row[0] === undefined ? undefined : steps[row[0]], place])
      .filter(([step]) => step && (step.verb.from === lane || step.verb.to === lane))
      .map(([, place]) => place)
    if (touched.length && lanes.indexOf(lane) === lanes.findIndex((one) => SERVER.includes(one))) {
      runs.push({ column, first: touched[0], last: touched.at(-1) })
      return
    }
    for (const place of touched) {
      const run = runs.at(-1)
      if (run && run.column === column && run.last >= place - 1) run.last = place
      else runs.push({ column, first: place, last: place })
    }
  })
  return runs
}

const SERVER = [3]
const mark = { done: '', passed: '✓', failed: '✗' }
const meaning = { done: '', passed: ', passed', failed: ', failed' }

function rowOf(row, context) {
  const { flow, names, lanes, options } = context
  const steps = row.map((place) => flow.steps[place])
  const [step] = steps
  const { from, to } = step.verb
  const [a, b] = [lanes.indexOf(from), lanes.indexOf(to)]
  const isCheck = a === b
  // In half columns: a lane's line is between its two.
  let [start, end] = [2 * Math.min(a, b) + 2, 2 * Math.max(a, b) + 2]
  const toTheLeft = isCheck && a === lanes.length - 1 && a > 0
  if (isCheck) [start, end] = toTheLeft ? [start - 3, start] : [start, Math.min(start + 3, 2 * lanes.length + 1)]
  const id = `${context.prefix}-${row[0]}`
  const path = isCheck ? names(from) : `${names(from)} → ${names(to)}`
  const text = label(step)
  const kinds = ['arrow', isCheck ? 'check' : a < b ? 'right' : 'left', toTheLeft && 'mirrored', (to === 0 || to === 1) && !isCheck && 'reply']
  const button = element(
    'button',
    { type: 'button', class: kinds.filter(Boolean).join(' '), 'aria-expanded': 'false', 'aria-controls': id, tabindex: '-1' },
    element('span', { class: 'path' }, element('span', { class: 'chip' }, path), element('span', { class: 'unseen' }, ': ')),
    element('span', { class: 'what' },
      mark[step.verdict] && element('span', { class: 'mark', 'aria-hidden': 'true' }, mark[step.verdict]),
      element('span', { class: 'text', title: text }, text),
      row.length > 1 && element('span', { class: 'times' }, ` × ${row.length}`),
      element('span', { class: 'unseen' }, meaning[step.verdict])),
    step.took_us !== undefined && step.took_us >= 1_000 && element('span', { class: 'took' }, span(step.took_us)),
  )
  button.style.setProperty('--start', start)
  button.style.setProperty('--end', end)
  const facts = element('div', { class: 'payload', id, hidden: true })
  const item = element('li', { class: `step ${step.verdict}` }, button, facts)
  if (row.includes(options.marked)) {
    item.classList.add('marked')
    item.prepend(element('p', { class: 'difference' }, 'The first difference'))
  }
  return { item, button, facts, steps }
}

// Where the time went: the spans of each lane beside each other, and what is left.
const PARTS = ['the rest', 'limits', 'wait for hashing', 'hash', 'store', 'sign', 'application']
const OF_LANES = { Store: 'store', Application: 'application' }
function times(flow, words) {
  const sums = Object.fromEntries(PARTS.map((part) => [part, 0]))
  for (const step of flow.steps) {
    const lane = words.lanes[step.verb.to]
    const took = step.took_us ?? 0
    const waited = labelled(step, 'waited')?.us ?? 0
    if (lane === 'Hashing') {
      sums['wait for hashing'] += Math.min(waited, took)
      sums.hash += Math.max(took - waited, 0)
    } else if (['TakeGuess', 'GiveBackGuess'].includes(step.verb.name)) sums.limits += took
    else if (step.verb.name === 'SignToken') sums.sign += took
    else if (Object.hasOwn(OF_LANES, lane)) sums[OF_LANES[lane]] += took
  }
  const known = Object.values(sums).reduce((sum, one) => sum + one, 0)
  sums['the rest'] = Math.max(flow.total_us - known, 0)
  return PARTS.map((part, place) => ({ part, place, us: sums[part] })).filter(({ us }) => us > 0).sort((a, b) => b.us - a.us)
}

function timeBar(flow, words) {
  const parts = times(flow, words)
  const total = parts.reduce((sum, { us }) => sum + us, 0)
  const bar = element('div', { class: 'bar-of-time', 'aria-hidden': 'true' })
  const list = element('ul', { class: 'legend' })
  for (const { part, place, us } of parts) {
    const piece = element('span', { class: `piece part-${place}` })
    piece.style.flexGrow = String(us)
    bar.append(piece)
    const share = total ? Math.round((us / total) * 100) : 0
    list.append(element('li', {}, element('span', { class: `swatch part-${place}`, 'aria-hidden': 'true' }), `${part} ${span(us)}`, element('span', { class: 'quiet' }, ` ${share} %`)))
  }
  return element('section', { class: 'time', 'aria-label': 'Where the time went' },
    element('h3', {}, `Where the ${span(flow.total_us)} went`), bar, list)
}

function copies(flow, origin) {
  const said = element('p', { class: 'said quiet', role: 'status' })
  const shown = element('pre', { class: 'command', hidden: true, tabindex: '0', role: 'region', 'aria-label': 'The copied command' })
  const button = ([name, text]) => {
    const made = element('button', { type: 'button', class: 'ghost' }, `Copy as ${name}`)
    made.addEventListener('click', async () => {
      shown.textContent = text
      shown.hidden = false
      try {
        await navigator.clipboard.writeText(text)
        said.textContent = `Copied as ${name}. Put your own values in place of what begins with $.`
      } catch {
        said.textContent = `The browser did not allow to copy: here is the ${name} command.`
      }
    })
    return made
  }
  return element('section', { class: 'copies', 'aria-label': 'Repeat the request' },
    ...Object.entries(commands(flow, origin)).map(button), said, shown)
}

let drawings = 0

// Draws a flow from JSON into the container, in place of its content. An Error says what is wrong with a flow.
export function draw(container, unknown, words, options = {}) {
  const flow = read(unknown, words)
  const now = options.now ?? flow.at
  const spoken = new Set(flow.steps.flatMap(({ verb }) => [verb.from, verb.to]))
  const lanes = [...spoken].sort((a, b) => a - b)
  const names = (lane) => (lane === 0 ? SENDERS[flow.sender] : words.lanes[lane])
  const context = { flow, names, lanes, options, prefix: `step-${++drawings}` }
  const rows = rowsOf(flow.steps, options.rows)
  const list = element('ol', { class: 'steps', 'aria-label': options.label ?? `What happened: ${flow.method} ${flow.route}` })
  const made = rows.map((row) => (row.length ? rowOf(row, context) : { item: element('li', { class: 'gap', 'aria-hidden': 'true' }) }))
  list.append(...made.map(({ item }) => item))
  list.style.gridRow = `1 / span ${Math.max(rows.length, 1)}`
  const bars = activations(rows, flow.steps, lanes).map(({ column, first, last }) => {
    const bar = element('span', { class: 'active', 'aria-hidden': 'true' })
    bar.style.gridArea = `${first + 1} / ${2 * column + 2} / ${last + 2} / span 1`
    return bar
  })
  const grid = element('div', { class: 'grid' }, ...bars, list)
  const heads = element('div', { class: 'heads', 'aria-hidden': 'true' }, ...lanes.map((lane) => element('span', {}, names(lane))))
  const diagram = element('div', { class: options.rows ? 'diagram even' : 'diagram' }, heads, grid)
  diagram.style.setProperty('--lanes', lanes.length)
  if (flow.cut) diagram.append(element('p', { class: 'quiet' }, `${flow.cut} more steps were not kept.`))
  if (options.time !== false) diagram.append(timeBar(flow, words))
  if (options.copy !== false) diagram.append(copies(flow, options.origin ?? location.origin))
  const steps = made.filter(({ button }) => button)
  const open = (row, opens = true) => {
    if (opens && !row.facts.hasChildNodes()) row.facts.append(...payload(row.steps, flow, now))
    row.facts.hidden = !opens
    row.button.setAttribute('aria-expanded', String(opens))
  }
  walk(list, steps, open)
  container.replaceChildren(diagram)
  const find = (place) => steps.find((row) => row.steps.includes(flow.steps[place]))
  if (options.open !== undefined && find(options.open)) open(find(options.open))
  return {
    open: (place) => find(place) && open(find(place)),
    close: () => steps.forEach((row) => open(row, false)),
  }
}

// One step can be reached by Tab; the arrow keys, Home and End go on from it. Enter opens it.
function walk(list, rows, open) {
  const buttons = rows.map(({ button }) => button)
  if (buttons[0]) buttons[0].tabIndex = 0
  const go = (place) => {
    const next = buttons[Math.min(Math.max(place, 0), buttons.length - 1)]
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1
    next.focus()
  }
  rows.forEach((row, place) => {
    row.button.addEventListener('click', () => {
      go(place)
      open(row, row.facts.hidden)
    })
  })
  list.addEventListener('keydown', (event) => {
    const place = buttons.indexOf(event.target)
    if (place < 0 || event.altKey || event.ctrlKey || event.metaKey) return
    const moves = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: buttons.length - 1 }
    if (event.key === 'Escape') open(rows[place], false)
    else if (event.key in moves) go(moves[event.key])
    else return
    event.preventDefault()
  })
}
