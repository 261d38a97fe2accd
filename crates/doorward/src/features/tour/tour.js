// The tour: plays a flow, and draws it with JWT and session id beside each other.

const beside = (name) => new URL(name + new URL(import.meta.url).search, import.meta.url)
const { draw, element, words } = await import(beside('diagram.js'))

const BREAKS = {
  character: 'Change one character of the token',
  wait: 'Wait 16 minutes',
  twice: 'Use the refresh token twice',
  phone: 'Log out on the phone',
}
const COLUMNS = { jwt: 'JWT', session: 'Session id' }
// What a token saves: a gap beside these.
const LOOKS = ['LookUpSecret', 'ReadSession']

const by = (id) => document.getElementById(id)
const nav = document.querySelector('.flows-of-tour')
const links = [...nav.querySelectorAll('a')]
const tables = await words()
let playing

async function ask(wanted) {
  playing?.abort()
  playing = new AbortController()
  const answer = await fetch(`${nav.dataset.base}/tour/play`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(wanted),
    signal: playing.signal,
  })
  if (answer.ok) return answer.json()
  const problem = await answer.json().catch(() => ({}))
  throw new Error(problem.message ?? `The server answered ${answer.status}.`)
}

const isLook = (flow, place) => LOOKS.includes(tables.verbs[flow.steps[place].verb].name)

// One column of a scene.
function column(scene, side) {
  const part = scene[side]
  const said = element('div', { class: 'said' }, element('h4', {}, COLUMNS[side]), element('p', {}, part.text))
  const judged = element('div', { class: 'judged' })
  if (part.plain && part.plain_accepts) {
    judged.append(element('p', { class: 'missed' }, `✗ ${part.plain}`), element('p', { class: 'kept' }, `✓ ${part.ours}`))
  }
  if (!part.flow) return element('div', { class: 'column' }, said, element('div', { class: 'nothing' }, 'No request'), judged)
  const drawing = element('div', { class: 'drawing' })
  const rows = scene.aligned.length ? scene.aligned.map((row) => row[side]) : undefined
  draw(drawing, part.flow, tables, {
    rows,
    marked: part.difference ?? undefined,
    label: `${scene.title}, ${COLUMNS[side]}`,
    time: false,
    copy: false,
  })
  if (side === 'jwt' && rows) {
    const gaps = scene.aligned.filter((row) => row.jwt === null)
    drawing.querySelectorAll('li.gap').forEach((gap, place) => {
      if (!isLook(scene.session.flow, gaps[place].session)) return
      gap.classList.add('saved')
      gap.append(element('span', {}, 'no look-up'))
    })
  }
  return element('div', { class: 'column' }, said, drawing, judged)
}

function show(scenes, into) {
  const shown = scenes.map((scene) =>
    element('section', { class: 'scene', 'aria-label': scene.title },
      element('h3', {}, scene.title),
      scene.meanwhile && element('p', { class: 'meanwhile' }, `${scene.meanwhile}.`),
      element('div', { class: 'columns' }, ...Object.keys(COLUMNS).map((side) => column(scene, side)))),
  )
  into.append(...shown)
}

async function breakIt(script, broken) {
  const into = by('broken')
  by('state').textContent = 'Breaking it…'
  try {
    const { scenes } = await ask({ flow: script.name, broken })
    const title = element('h3', { tabindex: '-1', id: 'broken-title' }, `Broken: ${BREAKS[broken].toLowerCase()}`)
    into.replaceChildren(title)
    show(scenes, into)
    const same = scenes[1].jwt.difference === null && scenes[1].session.difference === null
    by('state').textContent = same ? 'Nothing is different.' : 'The first difference is marked.'
    title.focus()
    title.scrollIntoView({ block: 'start' })
  } catch (error) {
    if (error.name !== 'AbortError') by('state').textContent = error.message
  }
}

function offer(script) {
  if (!script.breaks.length) {
    by('breaks').replaceChildren(element('h3', {}, 'Break it'), element('p', { class: 'quiet' }, 'Here something was broken already. After “Register”, “Login”, “A protected request” and “Refresh” you can break it yourself.'))
    return
  }
  const buttons = script.breaks.map((broken) => {
    const button = element('button', { type: 'button', class: 'ghost' }, BREAKS[broken])
    button.addEventListener('click', () => breakIt(script, broken))
    return button
  })
  by('breaks').replaceChildren(element('h3', {}, 'Break it'), element('p', {}, 'Then the same request is sent again, and the first difference is marked.'), element('div', { class: 'actions' }, ...buttons))
}

async function play() {
  const name = location.hash.slice(1)
  const link = links.find((one) => one.hash === `#${name}`)
  for (const one of links) one.removeAttribute('aria-current')
  if (!link) return
  link.setAttribute('aria-current', 'true')
  by('state').textContent = 'Playing…'
  for (const id of ['scenes', 'breaks', 'broken']) by(id).replaceChildren()
  try {
    const { script, scenes } = await ask({ flow: name })
    by('stage-title').textContent = script.title
    by('about').textContent = script.about
    show(scenes, by('scenes'))
    offer(script)
    by('state').textContent = `Played in a server of its own: ${script.title}.`
  } catch (error) {
    if (error.name !== 'AbortError') by('state').textContent = error.message
  }
}

addEventListener('hashchange', play)
by('state').textContent = ''
play()
