import type { Client } from './client.js'
import { type FormOptions, showForm } from './form.js'

export type { Texts } from './form.js'

/**
 * Defines two elements that use this client. `<doorward-sign-in>` is a form to sign in, or with `action="register"` to
 * create an account; it is hidden while somebody is signed in, and dispatches `doorward-sign-in` with the user as
 * `detail`. `<doorward-user>` shows the name, and a button that signs out; it is hidden otherwise.
 */
export function defineElements(client: Client, { texts, signOut = 'Sign out' }: Pick<FormOptions, 'texts'> & { signOut?: string } = {}): void {
  /** Follows who is signed in while it is in the page. */
  abstract class Following extends HTMLElement {
    #stop: (() => void)[] = []

    connectedCallback() {
      this.#stop = [client.onChange(() => this.follow()), this.show()]
      this.follow()
      if (client.user === undefined) client.profile().catch(() => {})
    }

    disconnectedCallback() {
      for (const stop of this.#stop) stop()
    }

    /** Fills it; returns a function that empties it. */
    abstract show(): () => void
    abstract follow(): void
  }

  class SignIn extends Following {
    show() {
      const action = this.getAttribute('action') === 'register' ? 'register' : 'login'
      const onSignIn = (detail: unknown) => this.dispatchEvent(new CustomEvent('doorward-sign-in', { detail, bubbles: true }))
      return showForm(this, client, { action, onSignIn, ...(texts && { texts }) })
    }

    follow() {
      this.hidden = !!client.user
    }
  }

  class UserName extends Following {
    #name = document.createElement('span')

    show() {
      const [button, problem] = [document.createElement('button'), document.createElement('span')]
      button.type = 'button'
      button.textContent = signOut
      problem.setAttribute('role', 'alert')
      button.onclick = () => {
        problem.textContent = ''
        client.logout().catch((error: Error) => (problem.textContent = error.message))
      }
      this.replaceChildren(this.#name, ' ', button, ' ', problem)
      return () => this.replaceChildren()
    }

    follow() {
      this.hidden = !client.user
      this.#name.textContent = client.user?.name ?? ''
    }
  }

  customElements.define('doorward-sign-in', SignIn)
  customElements.define('doorward-user', UserName)
}
