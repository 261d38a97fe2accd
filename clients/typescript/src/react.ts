import { useSyncExternalStore } from 'react'

import type { Client, User } from './client.js'

/** Who is signed in: a user, `null` for nobody, `undefined` while that is not known yet. */
export function useUser(client: Client): User | null | undefined {
  const user = () => client.user
  return useSyncExternalStore(client.onChange, user, user)
}
