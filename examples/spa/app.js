import { DoorwardError, createClient } from './doorward/index.js'
import { devices, endDevice } from './doorward/account.js'

const { url, mode } = await (await fetch('config.json')).json()
const doorward = createClient({ url, mode })

const $ = (id) => document.getElementById(id)

// The one place that decides what is shown, also when somebody signs in or out in another tab.
doorward.onChange(show)
attempt(() => doorward.profile(), { silent: ['token_missing'] })

function show(user) {
  $('waiting').hidden = true
  $('door').hidden = !!user
  $('home').hidden = $('logout').hidden = !user
  if (!user) return
  for (const field of ['name', 'email', 'role']) $(field).textContent = user[field]
  attempt(showDevices)
}

async function showDevices() {
  const list = await devices(doorward)
  $('devices').replaceChildren(...list.map(row))
}

function row(device) {
  const row = $('device').content.cloneNode(true)
  row.querySelector('.what').textContent = device.device
  row.querySelector('.since').textContent = `since ${new Date(device.created_at).toLocaleString()}`
  row.querySelector('.here').hidden = !device.current
  const end = row.querySelector('.end')
  end.hidden = device.current
  end.setAttribute('aria-label', `Sign out ${device.device}`)
  end.onclick = () => attempt(() => endDevice(doorward, device.id).then(showDevices))
  return row
}

for (const form of [$('login'), $('register')]) {
  form.onsubmit = (event) => {
    event.preventDefault()
    attempt(async () => {
      await doorward[form.id](Object.fromEntries(new FormData(form)))
      form.reset()
    })
  }
}
$('logout').onclick = () => attempt(() => doorward.logout())
$('logout-all').onclick = () => attempt(() => doorward.logoutAll())

// Says what went wrong. After "try again" everybody stays signed in; only `onChange` signs anybody out.
async function attempt(action, { silent = [] } = {}) {
  $('problem').hidden = true
  try {
    await action()
  } catch (error) {
    if (!(error instanceof DoorwardError)) throw error
    $('waiting').hidden = !error.tryAgain || doorward.user !== undefined
    if (silent.includes(error.code)) return
    $('problem').textContent = error.fields.length ? error.fields.map(say).join('. ') : error.message
    $('problem').hidden = false
  }
}

const say = ({ field, message }) => `${field[0].toUpperCase()}${field.slice(1)} ${message}`
