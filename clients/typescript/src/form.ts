import type { Client } from './client.js'
import { DoorwardError } from './error.js'
import type { User } from './types.js'

export interface FormOptions {
  /** What the form does; the default is `login`. */
  action?: 'login' | 'register'
  /** The words of the form, where they should differ. */
  texts?: Partial<Texts>
  /** After a sign-in. */
  onSignIn?: (user: User) => void
}

/** What the form says. Messages about a request come from the server. */
export interface Texts {
  name: string
  email: string
  password: string
  login: string
  register: string
  /** After a failure that decided nothing. */
  tryAgain: string
}

const TEXTS: Texts = {
  name: 'Name',
  email: 'Email',
  password: 'Password',
  login: 'Sign in',
  register: 'Create account',
  tryAgain: 'Please try again in a moment.',
}

type Field = 'name' | 'email' | 'password'

/** By these, password managers know the fields. */
const COMPLETE = { name: 'name', email: 'username', login: 'current-password', register: 'new-password' }

let forms = 0

/** Shows a form in `host`, which signs in through `client`; returns a function that removes it. */
export function showForm(host: HTMLElement, client: Client, options: FormOptions = {}): () => void {
  adoptStyle(host.ownerDocument)
  const { action = 'login', onSignIn } = options
  const texts = { ...TEXTS, ...options.texts }
  const make = maker(host.ownerDocument)
  const id = `doorward-${(forms += 1)}`
  const names: Field[] = action === 'register' ? ['name', 'email', 'password'] : ['email', 'password']
  const fields = new Map<string, { input: HTMLInputElement; message: HTMLElement }>()
  // By POST, so that no password stands in a URL whatever happens to this script.
  const form = make('form', { className: 'doorward-form', method: 'post', noValidate: true })
  for (const name of names) {
    const autocomplete = COMPLETE[name === 'password' ? action : name] as AutoFill
    const type = name === 'name' ? 'text' : name
    const input = make('input', { id: `${id}-${name}`, name, type, autocomplete, required: true })
    const message = make('p', { id: `${id}-${name}-problem`, className: 'doorward-problem', hidden: true })
    form.append(make('label', { htmlFor: input.id, textContent: texts[name] }), input, message)
    fields.set(name, { input, message })
  }
  const problem = make('p', { className: 'doorward-problem', role: 'alert' })
  const button = make('button', { type: 'submit', textContent: texts[action] })
  form.append(problem, button)

  const clear = () => {
    problem.textContent = ''
    for (const { input, message } of fields.values()) tell(input, message)
  }
  const explain = (error: DoorwardError) => {
    const wrong = error.fields.filter(({ field }) => fields.has(field))
    for (const { field, message: why } of wrong) {
      const { input, message } = fields.get(field)!
      tell(input, message, `${input.labels?.[0]?.textContent ?? field} ${why}`)
    }
    const others = error.fields.filter((one) => !wrong.includes(one)).map(({ field, message }) => `${field} ${message}`)
    if (!wrong.length || others.length) problem.textContent = others.join('. ') || error.message
    if (error.tryAgain) problem.textContent = `${error.message.replace(/\.?$/, '.')} ${texts.tryAgain}`
    const first = names.find((name) => wrong.some(({ field }) => field === name))
    if (first ?? !error.tryAgain) fields.get(first ?? 'password')?.input.focus()
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (form.ariaBusy === 'true') return
    form.ariaBusy = 'true'
    clear()
    const value = (name: Field) => fields.get(name)?.input.value ?? ''
    const credentials = { email: value('email'), password: value('password') }
    const entering = action === 'register' ? client.register({ name: value('name'), ...credentials }) : client.login(credentials)
    entering
      .then(
        (user) => {
          form.reset()
          onSignIn?.(user)
        },
        (error: unknown) => {
          if (!(error instanceof DoorwardError)) throw error
          explain(error)
        },
      )
      .finally(() => (form.ariaBusy = 'false'))
  })
  host.append(form)
  return () => form.remove()
}

/** Ties what is wrong to its field; nothing is wrong without a text. */
function tell(input: HTMLInputElement, message: HTMLElement, text = '') {
  message.textContent = text
  message.hidden = !text
  for (const [name, value] of [['aria-invalid', 'true'], ['aria-describedby', message.id]] as const) {
    if (text) input.setAttribute(name, value)
    else input.removeAttribute(name)
  }
}

const maker =
  (document: Document) =>
  <K extends keyof HTMLElementTagNameMap>(tag: K, given: Partial<HTMLElementTagNameMap[K]>): HTMLElementTagNameMap[K] =>
    Object.assign(document.createElement(tag), given)

// No element with `style`: strict content security policies refuse those. `:where`, so that any rule of a page wins.
const STYLE = `
:where(.doorward-form) { display: grid; gap: 0.25rem; max-inline-size: 22rem }
:where(.doorward-form label) { font-weight: 600; margin-block-start: 0.5rem }
:where(.doorward-form input) { font: inherit; padding: 0.5rem; min-inline-size: 0; border-radius: 0.3rem;
  border: 1px solid light-dark(#6b6b6b, #9a9a9a); color: inherit; background: light-dark(#fff, #1e1e1e) }
:where(.doorward-form input[aria-invalid]) { border-color: light-dark(#b00020, #ff9a9a) }
:where(.doorward-form button) { font: inherit; font-weight: 600; padding: 0.6rem; margin-block-start: 0.75rem; border: 0;
  border-radius: 0.3rem; color: light-dark(#fff, #10182b); background: light-dark(#1f4fbf, #a9c4ff); cursor: pointer }
:where(.doorward-form :is(input, button):focus-visible) { outline: 3px solid light-dark(#1f4fbf, #a9c4ff); outline-offset: 2px }
:where(.doorward-form[aria-busy='true'] button) { cursor: progress }
:where(.doorward-problem) { margin: 0; color: light-dark(#b00020, #ff9a9a) }`

const styled = new WeakSet<Document>()

function adoptStyle(document: Document) {
  if (styled.has(document)) return
  styled.add(document)
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(STYLE)
  document.adoptedStyleSheets.push(sheet)
}
