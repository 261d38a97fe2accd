import type { IncomingMessage } from 'node:http'

import type { Refusal } from './answer.js'
import type { Incoming } from './credential.js'
import type { Token } from './token.js'

/** What the handler learns from a checked request; times in seconds since 1970. */
export interface Identity extends Token {
  /** How the credential was sent. */
  mode: 'bearer' | 'cookie' | 'session'
}

/** What a route needs. */
export interface Needs {
  /** Also accepts requests without a credential; a bad one is still refused. */
  optional?: boolean
  role?: string
  /** A permission, by the guard's `roles`. */
  permission?: string
}

/** The part of a guard that the hooks use. */
export interface Checks {
  check(request: Incoming): Promise<Identity | Refusal>
  strip(request: IncomingMessage): void
  grants(role: string, permission: string): boolean
}
