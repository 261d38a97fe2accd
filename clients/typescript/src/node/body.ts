/** The largest answer that is read whole, in bytes. */
const MAX = 64 * 1024

/** The text of a good answer. Throws for any other, and for one that is too long, before it takes memory. */
export async function read(response: Response): Promise<string> {
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`${response.url} answered ${response.status}`)
  }
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let [text, size] = ['', 0]
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MAX) throw new Error(`the answer of ${response.url} is too long`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
