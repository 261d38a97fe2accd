import type { IncomingMessage } from 'node:http'

import type { Refusal } from './answer.js'
import type { Incoming } from './credential.js'
import type { Token } from './token.js'

/** What a checked request carries on to the handler; times in seconds since 1970. */
export interface Identity extends Token {
  /** How the credential came. */
  mode: 'bearer' | 'cookie' | 'session'
}

/** What a route needs. */
export interface Needs {
  /** Lets requests without a credential in too; a bad one is still refused. */
  optional?: boolean
  role?: string
  /** By the guard's `roles`. */
  permission?: string
}

/** What the hooks need of a guard. */
export interface Checks {
  check(request: Incoming): Promise<Identity | Refusal>
  strip(request: IncomingMessage): void
  grants(role: string, permission: string): boolean
}
