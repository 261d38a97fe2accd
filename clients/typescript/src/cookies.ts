/** Name and value, byte for byte; an empty name if there is no `=`. */
export function halves(pair: string): [name: string, value: string] {
  const text = trimmed(pair)
  const at = text.indexOf('=')
  return at < 0 ? ['', ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Trims only ASCII space: the server treats no other character as space, and a name may begin with one. */
export function trimmed(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

const isSpace = (code: number) => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0c || code === 0x0d

/** Whether no other host of the domain can set a cookie of this name. */
export const isBoundToHost = (name: string) => name.startsWith('__Host-')

/**
 * Whether a browser that sends this withholds the server's own cookies, because of `SameSite`. If a cookie comes all
 * the same, it was planted, unless its name is bound to the host.
 */
export function keepsCookiesAtHome(linesOf: (header: string) => string[], lax: boolean): boolean {
  const says = (name: string, value: string) =>
    linesOf(name).some((line) => line.split(',').some((one) => trimmed(one) === value))
  if (!says('sec-fetch-site', 'cross-site')) return false
  // A form of another site has an `Origin`, a link has none.
  const isLink = says('sec-fetch-mode', 'navigate') && says('sec-fetch-dest', 'document') && !linesOf('origin').length
  return !(lax && isLink)
}
