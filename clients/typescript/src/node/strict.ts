/** The most members of one object, and how deep objects and lists may be nested. */
const MAX_MEMBERS = 64
const MAX_DEPTH = 100

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/**
 * The members of the JSON object in `text`, each as it is written there; objects are empty. `undefined` if
 * two parsers could read it differently: repeated or escaped names, broken Unicode, numbers out of range (RFC 8725
 * section 2.4).
 */
export function members(text: string): Map<string, string> | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  const found = new Map<string, string>()
  // One set of names for each object around the current place, and none for a list.
  const open: (Set<string> | undefined)[] = []
  let [name, before] = ['', '']
  for (const [token] of text.matchAll(TOKEN)) {
    const names = open.at(-1)
    if (token === '{' || token === '[') {
      if (open.length === 1) found.set(name, token === '[' ? token : '')
      else if (open.length === 2 && !names) found.set(name, found.get(name) + '{}')
      if (open.push(token === '{' ? new Set() : undefined) > MAX_DEPTH) return undefined
    } else if (token === '}' || token === ']') {
      open.pop()
      if (open.length === 1 && token === ']') found.set(name, found.get(name) + token)
    } else if (names && token.startsWith('"') && (before === '{' || before === ',')) {
      if (token.includes('\\') || names.has(token) || names.size === MAX_MEMBERS) return undefined
      names.add(token)
      name = token.slice(1, -1)
    } else if (token === ',') {
      if (open.length === 2 && !names) found.set(name, found.get(name) + token)
    } else if (token !== ':') {
      const value: unknown = JSON.parse(token)
      if (typeof value === 'string' ? !value.isWellFormed() : value === Infinity || value === -Infinity) return undefined
      if (open.length === 1) found.set(name, token)
      else if (open.length === 2 && !names) found.set(name, found.get(name) + token)
    }
    before = token
  }
  return text.trimStart().startsWith('{') ? found : undefined
}

/** The text of a member; `undefined` if it is missing or not text. */
export function text(found: Map<string, string>, name: string): string | undefined {
  const written = found.get(name)
  return written?.startsWith('"') ? (JSON.parse(written) as string) : undefined
}

/** The names in a list; empty if it is missing, `undefined` if it is not a list of strings without escapes. */
export function names(found: Map<string, string>, name: string): string[] | undefined {
  const written = found.get(name) ?? '[]'
  const list: unknown = written.startsWith('[') && !written.includes('\\') && JSON.parse(written)
  return Array.isArray(list) && list.every((one) => typeof one === 'string') ? list : undefined
}

/** The claims version (`ver`): 0 if it is missing, NaN if it is not an integer from 0 to 2^53 - 1. */
export function version(found: Map<string, string>): number {
  const written = found.get('ver') ?? '0'
  return /^\d{1,16}$/.test(written) && Number.isSafeInteger(Number(written)) ? Number(written) : NaN
}

/** The whole seconds since 1970 of a member; `undefined` if it is missing, NaN if it is not a time. */
export function seconds(found: Map<string, string>, name: string): number | undefined {
  const written = found.get(name)
  return written === undefined ? undefined : /^\d{1,15}$/.test(written) ? Number(written) : NaN
}
