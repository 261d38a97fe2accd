import type { Client } from './client.js'
import type { Device, User } from './types.js'

/** What to change; a new email needs the current password. */
export interface ProfileChange {
  name?: string
  email?: string
  password?: string
}

/** Changes the user's name or email; all tabs hear of it. */
export async function updateProfile(client: Client, change: ProfileChange): Promise<User> {
  return (await client.ask<{ user: User }>('profile', 'PATCH', change)).user
}

/** Changes the password: every other sign-in of this user ends, and this one continues with a new credential. */
export async function changePassword(client: Client, current_password: string, new_password: string): Promise<void> {
  await client.ask('profile/password', 'POST', { current_password, new_password })
}

/** Deletes the account, and so ends every sign-in of its user. */
export async function deleteAccount(client: Client, password: string): Promise<void> {
  await client.ask('profile', 'DELETE', { password })
}

/** The devices where this user is signed in. */
export async function devices(client: Client): Promise<Device[]> {
  return (await client.ask<{ sessions: Device[] }>('sessions')).sessions
}

/** Signs one device out. */
export async function endDevice(client: Client, id: string): Promise<void> {
  await client.ask(`sessions/${encodeURIComponent(id)}`, 'DELETE')
}

/** Signs every other device out, and returns how many there were. */
export async function endOtherDevices(client: Client): Promise<number> {
  return (await client.ask<{ sessions: number }>('sessions', 'DELETE')).sessions
}

/**
 * Sets a new password with the token of a reset link. Every sign-in of its user ends, and so does one of this browser
 * that is held in cookies. Returns how many ended.
 */
export async function resetPassword(client: Client, token: string, new_password: string): Promise<number> {
  const { sessions } = await client.ask<{ sessions: number }>('password/reset', 'POST', { token, new_password })
  // The link may have been for another user.
  if (client.user) await client.profile().catch(() => {})
  return sessions
}
