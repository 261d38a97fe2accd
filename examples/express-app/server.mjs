// An Express application whose users are Doorward's. It holds no password, no session and no key of its own.

import express from 'express'
import { createGuard } from 'doorward/node'

const { DOORWARD = 'http://localhost:8080', CLIENT_ID, CLIENT_SECRET, PORT = '3000' } = process.env

const guard = await createGuard({
  server: DOORWARD,
  // A registered client: `doorward client create --name express-app` prints both.
  client: { id: CLIENT_ID, secret: CLIENT_SECRET },
  // `serve --dev` drops the prefix __Host-, which needs https.
  cookies: process.env.NODE_ENV === 'production' ? {} : { token: 'token', session: 'sessionId', refresh: 'refresh_token', device: 'device' },
})

const app = express().disable('x-powered-by')

app.get('/', (request, response) => response.send('Everybody may read this.\n'))

app.get('/dashboard', guard.express(), async (request, response) => {
  // The token has only the user's id; the server knows the name, with the caller's own credential.
  const { authorization, cookie } = request.headers
  const headers = authorization ? { authorization } : { cookie }
  const asked = await fetch(new URL('profile', `${DOORWARD}/`), { headers })
  const { user } = await asked.json()
  response.json({ message: `Welcome ${user?.name ?? request.identity.user}!`, identity: request.identity })
})

app.get('/admin', guard.express({ role: 'admin' }), (request, response) => response.json({ message: 'The keys of the house' }))

// For probes: how far this process may be behind Doorward.
app.get('/health', (request, response) => {
  const health = guard.health()
  response.status(health.staleFor > 120 ? 503 : 200).json(health)
})

app.listen(Number(PORT), '127.0.0.1', function () {
  console.log(`Listening on http://127.0.0.1:${this.address().port}`)
})
