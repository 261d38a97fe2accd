import type { Code } from './codes.js'

/** One wrong field of a form. */
export interface FieldError {
  field: string
  /** What is wrong and what to do, for people. */
  message: string
}

/** Why something was refused, or could not be asked. */
export class DoorwardError extends Error {
  override name = 'DoorwardError'

  constructor(
    message: string,
    /** Stable; `network` where there was no answer, `unexpected` where it was none of Doorward's. */
    readonly code: Code | 'network' | 'unexpected',
    /** The HTTP status, 0 without an answer. */
    readonly status = 0,
    /** The wrong fields, for `invalid_input`. */
    readonly fields: FieldError[] = [],
    /** When to try again, in seconds, where the server says so. */
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** Nothing was decided: the person is as signed in as before, and the same call may succeed later. */
  get tryAgain(): boolean {
    return this.code === 'network' || isUndecided(this.status)
  }

  /** What a response that is not ok says. */
  static async of(response: Response): Promise<DoorwardError> {
    const body = await problem(response)
    const wait = Number(response.headers.get('retry-after') ?? NaN)
    return new DoorwardError(
      body.message ?? `The server answered ${response.status}`,
      typeof body.code === 'string' ? body.code : 'unexpected',
      response.status,
      body.fields,
      Number.isNaN(wait) ? undefined : wait,
    )
  }
}

interface Problem {
  success?: boolean
  code?: Code
  message?: string
  fields?: FieldError[]
}

/** The server is away, as a proxy or it says itself. */
export const isAway = (status: number): boolean => status >= 502 && status <= 504

/** Nothing was decided: also a timeout, or too many attempts. */
export const isUndecided = (status: number): boolean => isAway(status) || status === 408 || status === 429

export function unreachable(cause: unknown): never {
  if ((cause as Error)?.name === 'AbortError') throw cause
  throw new DoorwardError('The server cannot be reached: try again', 'network', 0, [], undefined, { cause })
}

/** What the answer to a named call says. */
export async function read<T>(asked: Promise<Response>): Promise<T> {
  const response = await asked.catch(unreachable)
  if (!response.ok) throw await DoorwardError.of(response)
  return response.json().catch(unreachable)
}

async function problem(response: Response): Promise<Problem> {
  return (await response.json().catch(() => {})) ?? {}
}

/**
 * What a refusal says about the credential, without using up its body: a code of Doorward's; `token_invalid` also from
 * any other API that refuses the token as RFC 6750 says; `hidden` where the page is not allowed to read whether it does.
 */
export async function codeOf(response: Response): Promise<string> {
  const { status, headers, type } = response
  if (status !== 401 && status !== 403) return ''
  if (headers.get('content-type')?.startsWith('application/problem+json')) {
    const { code, success } = await problem(response.clone())
    // Doorward's and its guards' own; problems of other APIs may have codes too.
    if (code && (success === false || /^(token|session|refresh)_/.test(code))) return String(code)
  }
  if (status !== 401) return ''
  const challenges = headers.get('www-authenticate')
  // A page reads this header of another origin only where that origin exposes it.
  if (challenges === null) return type === 'cors' ? 'hidden' : ''
  return refusesToken(challenges) ? 'token_invalid' : ''
}

/** A scheme or the name of a parameter, and the parameter's value (RFC 9110 section 11). */
const PART = /([\w!#$%&'*+.^`|~/-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?/g

function refusesToken(challenges: string): boolean {
  let scheme = ''
  for (const [, name = '', value] of challenges.matchAll(PART)) {
    if (value === undefined) scheme = name.toLowerCase()
    else if (scheme === 'bearer' && name.toLowerCase() === 'error' && /^"?invalid_token"?$/.test(value)) return true
  }
  return false
}
