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
    return this.code === 'network' || this.status === 503 || this.status === 429 || this.status === 408
  }

  /** What a response that is not ok says. */
  static async of(response: Response): Promise<DoorwardError> {
    const body: Problem = await response.json().catch(() => ({}))
    const wait = Number(response.headers.get('retry-after') ?? NaN)
    return new DoorwardError(
      body.message ?? `The server answered ${response.status}`,
      body.code ?? 'unexpected',
      response.status,
      body.fields,
      Number.isNaN(wait) ? undefined : wait,
    )
  }
}

interface Problem {
  code?: Code
  message?: string
  fields?: FieldError[]
}

/** The code of a refused request, without using up its body. */
export async function codeOf(response: Response): Promise<string> {
  const refused = response.status === 401 || response.status === 403
  if (!refused || !response.headers.get('content-type')?.startsWith('application/problem+json')) return ''
  const body: Problem = await response.clone().json().catch(() => ({}))
  return String(body.code ?? '')
}
