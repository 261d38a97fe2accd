import type { IncomingMessage, ServerResponse } from 'node:http'

import { EXPOSE, type Refusal, answer } from './answer.js'
import type { Checks, Identity, Needs } from './identity.js'

declare global {
  namespace Express {
    interface Request {
      /** Who sends the request; it is missing without a guard, and may be behind one that is `optional`. */
      identity: Identity
    }
  }
}

/** @see Guard.express */
export function express(guard: Checks, needs: Needs) {
  return async (request: Named, response: ServerResponse, next: () => void): Promise<void> => {
    const found = await judge(guard, request, needs)
    if (typeof found === 'string') {
      const { status, headers, body } = answer(found)
      response.writeHead(status, besideOthers(headers, response.getHeader(EXPOSE))).end(body)
    } else {
      request.identity = found
      next()
    }
  }
}

/** @see Guard.fastify */
export function fastify(guard: Checks, needs: Needs) {
  return async (request: { raw: IncomingMessage; identity?: Identity }, reply: Reply): Promise<unknown> => {
    const found = await judge(guard, request.raw, needs)
    if (typeof found === 'string') {
      const { status, headers, body } = answer(found)
      return reply.code(status).headers(besideOthers(headers, reply.getHeader(EXPOSE))).send(body)
    }
    request.identity = found
    return undefined
  }
}

interface Named extends IncomingMessage {
  identity?: Identity
}

interface Reply {
  code(status: number): Reply
  headers(headers: Record<string, string>): Reply
  getHeader(name: string): Header
  send(body: string): unknown
}

type Header = number | string | string[] | undefined

/** Added to what the application's CORS exposes already. */
function besideOthers(headers: Record<string, string>, exposed: Header): Record<string, string> {
  if (exposed === undefined || !headers[EXPOSE]) return headers
  return { ...headers, [EXPOSE]: [exposed, headers[EXPOSE]].flat().join(', ') }
}

async function judge(guard: Checks, request: IncomingMessage, needs: Needs): Promise<Identity | Refusal | undefined> {
  // Any failure in a check refuses the request.
  const found = await guard.check(request).catch(() => 'unavailable' as const)
  guard.strip(request)
  if (found === 'token_missing' && needs.optional) return undefined
  if (typeof found === 'string') return found
  const allowed =
    (needs.role === undefined || needs.role === found.role) &&
    (needs.permission === undefined || guard.grants(found.role, needs.permission))
  return allowed ? found : 'forbidden'
}
