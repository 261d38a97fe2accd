import { useEffect, useSyncExternalStore } from 'react'

import type { Client } from './client.js'
import { DoorwardError } from './error.js'
import type { User } from './types.js'

/**
 * Who is signed in: a user, `null` for nobody, `undefined` while that is not known yet. It asks the server by itself,
 * and again while the server is unavailable.
 */
export function useUser(client: Client): User | null | undefined {
  const user = () => client.user
  useEffect(() => load(client), [client])
  return useSyncExternalStore(client.onChange, user, user)
}

const FIRST_WAIT = 1_000
const MAX_WAIT = 30_000

/** Asks until it is known; returns a function that stops it. */
function load(client: Client) {
  let timer: unknown
  let isWanted = true
  const ask = async (wait: number) => {
    if (client.user !== undefined) return
    const error = await profile(client)
    const again = isWanted && error instanceof DoorwardError && error.tryAgain
    if (again) timer = setTimeout(ask, wait * (0.5 + Math.random() / 2), Math.min(wait * 2, MAX_WAIT))
  }
  void ask(FIRST_WAIT)
  return () => {
    isWanted = false
    clearTimeout(timer as number)
  }
}

/** The current request, so that many components share it. */
const asked = new WeakMap<Client, Promise<unknown>>()

function profile(client: Client) {
  const one = asked.get(client) ?? client.profile().catch((error: unknown) => error)
  asked.set(client, one)
  return one.finally(() => asked.delete(client))
}
