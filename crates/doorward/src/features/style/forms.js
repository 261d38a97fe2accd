// Makes forms more convenient if scripts run. Every page works without it, and it never prevents a form from being
// sent.
'use strict'

const HIDDEN = 'password'
const texts = document.currentScript.dataset

// A button beside each password shows it.
for (const input of document.querySelectorAll('input[type=password]')) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'reveal'
  button.textContent = texts.show
  button.setAttribute('aria-label', texts.showLabel.replace('*', input.labels[0].textContent.trim()))
  button.setAttribute('aria-controls', input.id)
  const show = (shown) => {
    input.type = shown ? 'text' : HIDDEN
    button.setAttribute('aria-pressed', shown)
  }
  button.addEventListener('click', () => show(input.type === HIDDEN))
  // Sent and remembered as a password, and hidden again on the way back.
  input.form.addEventListener('submit', () => show(false))
  addEventListener('pagehide', () => show(false))
  show(false)
  input.autocapitalize = 'none'
  input.spellcheck = false
  input.after(button)
}

// A form that was sent says so, until its answer comes. It can be sent again all the same: then it runs once.
const PATIENCE = 20_000
const status = document.createElement('p')
status.className = 'unseen'
status.setAttribute('role', 'status')
document.body.append(status)

const settle = () => {
  for (const button of document.querySelectorAll('[data-pending]')) delete button.dataset.pending
  status.textContent = ''
}
let patience
addEventListener('submit', ({ submitter, target }) => {
  if (target.method !== 'post' || !submitter) return
  settle()
  submitter.dataset.pending = ''
  status.textContent = texts.wait
  clearTimeout(patience)
  patience = setTimeout(settle, PATIENCE)
})
// Also if the back button shows the page as it was left.
addEventListener('pageshow', settle)
