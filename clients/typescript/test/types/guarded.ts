// Handlers behind the guard, in strict TypeScript: `request.identity` needs no `!`. pack.test.mjs compiles this file.

import express from 'express'
import fastify from 'fastify'
import { createServer } from 'node:http'
import { createGuard, type Identity } from 'doorward/node'

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity
  }
}

const guard = await createGuard({ secret: 'x'.repeat(32) })

const app = express()
app.get('/', guard.express(), (request, response) => void response.json({ user: request.identity.user }))
app.get('/posts/:id', guard.express({ role: 'admin' }), async (request, response) => {
  const identity: Identity = request.identity
  response.json({ identity, id: request.params.id })
})
app.get('/feed', guard.express({ optional: true }), (request, response) => void response.json(request.identity?.user))
app.get('/wrong', guard.express(), (request, response) => {
  // @ts-expect-error: an identity has no name
  response.json(request.identity.name)
})

const site = fastify()
site.decorateRequest('identity')
site.addHook('onRequest', guard.fastify())
site.get('/', (request) => request.identity.user)

const check = guard.express()
createServer((request, response) => void check(request, response, () => response.end()))
