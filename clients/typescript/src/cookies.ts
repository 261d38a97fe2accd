/** Name and value, byte for byte; no name where there is no `=`. */
export function halves(pair: string): [name: string, value: string] {
  const text = trimmed(pair)
  const at = text.indexOf('=')
  return at < 0 ? ['', ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Without the space of ASCII around it: no other is space to the server, and a name may begin with it. */
export function trimmed(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

const isSpace = (code: number) => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0c || code === 0x0d

/** Whether no host beside the server can set a cookie of this name. */
export const isBoundToHost = (name: string) => name.startsWith('__Host-')

/**
 * Whether a browser that sends this keeps the server's own cookies at home, by `SameSite`. What comes all the same was
 * planted, unless its name is bound to the host.
 */
export function keepsCookiesAtHome(linesOf: (header: string) => string[], lax: boolean): boolean {
  const says = (name: string, value: string) =>
    linesOf(name).some((line) => line.split(',').some((one) => trimmed(one) === value))
  if (!says('sec-fetch-site', 'cross-site')) return false
  // A form that another site sends has an `Origin`, a link has none.
  const isLink = says('sec-fetch-mode', 'navigate') && says('sec-fetch-dest', 'document') && !linesOf('origin').length
  return !(lax && isLink)
}
