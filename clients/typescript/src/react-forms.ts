import { type ReactElement, type ReactNode, createElement, useEffect, useRef } from 'react'

import type { Client } from './client.js'
import { type FormOptions, showForm } from './form.js'
import { useUser } from './react.js'

export type { Texts } from './form.js'

export interface SignInFormProps extends FormOptions {
  client: Client
}

/** A form to sign in, or to create an account. The browser draws it: a server renders an empty place. */
export function SignInForm({ client, action, texts, onSignIn }: SignInFormProps): ReactElement {
  const host = useRef<HTMLDivElement>(null)
  const signedIn = useRef(onSignIn)
  signedIn.current = onSignIn
  const words = JSON.stringify(texts ?? {})
  useEffect(() => {
    if (!host.current) return undefined
    const options: FormOptions = { texts: JSON.parse(words), onSignIn: (user) => signedIn.current?.(user) }
    return showForm(host.current, client, action ? { action, ...options } : options)
  }, [client, action, words])
  return createElement('div', { ref: host })
}

export interface RequireAuthProps {
  client: Client
  children?: ReactNode
  /** Shown while it is not known who is signed in. */
  waiting?: ReactNode
  /** Shown while nobody is signed in; the default is a form to sign in. */
  fallback?: ReactNode
}

/** Shows its children to who is signed in. It protects no data: the server has to check each request. */
export function RequireAuth({ client, children, waiting = null, fallback }: RequireAuthProps): ReactNode {
  const user = useUser(client)
  if (user === undefined) return waiting
  return user ? children : (fallback ?? createElement(SignInForm, { client }))
}
