/** A scheme or the name of a parameter, and the parameter's value (RFC 9110 section 11). */
const PART = /([\w!#$%&'*+.^`|~/-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?/g

/** Whether a `WWW-Authenticate` refuses a token (RFC 6750 section 3). */
export function refusesToken(challenges: string): boolean {
  let scheme = ''
  for (const [, name = '', value] of challenges.matchAll(PART)) {
    if (value === undefined) scheme = name.toLowerCase()
    else if (scheme === 'bearer' && name.toLowerCase() === 'error' && /^"?invalid_token"?$/.test(value)) return true
  }
  return false
}
