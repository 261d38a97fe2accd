import { Guard, type GuardOptions } from './guard.js'

export { Guard } from './guard.js'
export type { GuardOptions, Health } from './guard.js'
export type { Identity, Needs } from './identity.js'
export { answer } from './answer.js'
export type { Answer, Refusal } from './answer.js'

/** A guard that has its keys, and knows every revocation up to now. Rejects with what is missing. */
export const createGuard = (options: GuardOptions): Promise<Guard> => Guard.build(options)
