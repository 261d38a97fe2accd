import type { Code } from './codes.js'

/** One wrong field of a form. */
export interface FieldError {
  field: string
  /** What is wrong and what to do, for people. */
  message: string
}

/** Why a request was refused, or could not be sent. */
export class DoorwardError extends Error {
  override name = 'DoorwardError'

  constructor(
    message: string,
    /** Stable; `network` if there was no answer, `unexpected` if the answer was not Doorward's. */
    readonly code: Code | 'network' | 'unexpected',
    /** The HTTP status, 0 without an answer. */
    readonly status = 0,
    /** The wrong fields, for `invalid_input`. */
    readonly fields: FieldError[] = [],
    /** When to try again, in seconds, if the server says so. */
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** Nothing was decided: the person is still signed in if they were before, and the same call may succeed later. */
  get tryAgain(): boolean {
    return this.code === 'network' || isUndecided(this.status)
  }

  /** The error in a response that is not ok. */
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

/** The server is unavailable; a proxy or the server itself says so. */
export const isAway = (status: number): boolean => status >= 502 && status <= 504

/** Nothing was decided: also after a timeout, or too many attempts. */
export const isUndecided = (status: number): boolean => isAway(status) || status === 408 || status === 429

export function unreachable(cause: unknown): never {
  if ((cause as Error)?.name === 'AbortError') throw cause
  throw new DoorwardError('The server cannot be reached: try again', 'network', 0, [], undefined, { cause })
}

/** The content of the answer to a named call. */
export async function read<T>(asked: Promise<Response>): Promise<T> {
  const response = await asked.catch(unreachable)
  if (!response.ok) throw await DoorwardError.of(response)
  return response.json().catch(unreachable)
}

async function problem(response: Response): Promise<Problem> {
  return (await response.json().catch(() => {})) ?? {}
}

/**
 * What a refusal says about the credential, without consuming its body. It is one of Doorward's codes, or
 * `token_invalid` if another API refuses the token as RFC 6750 says, or `hidden` if the page may not read it.
 */
export async function codeOf(response: Response): Promise<string> {
  const { status, headers, type } = response
  if (status !== 401 && status !== 403) return ''
  if (headers.get('content-type')?.startsWith('application/problem+json')) {
    const { code, success } = await problem(response.clone())
    // Only codes of Doorward and its guards: problems of other APIs may have codes too.
    if (code && (success === false || /^(token|session|refresh)_/.test(code))) return String(code)
  }
  if (status !== 401) return ''
  const challenges = headers.get('www-authenticate')
  // A page can read this header of another origin only if that origin exposes it.
  if (challenges === null) return type === 'cors' ? 'hidden' : ''
  const { refusesToken } = await import('./challenge.js')
  return refusesToken(challenges) ? 'token_invalid' : ''
}
