// Serves this folder; any web server would do. DOORWARD is the server's URL, MODE is bearer, cookie or session.

import { readFile, readdir } from 'node:fs/promises'
import { createServer } from 'node:http'

const { DOORWARD = 'http://localhost:8080', MODE = 'bearer', PORT = '5173' } = process.env
const client = new URL('../../clients/typescript/dist/', import.meta.url)
const files = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/app.js': ['app.js', 'text/javascript'],
  '/style.css': ['style.css', 'text/css'],
}
for (const file of await readdir(client)) {
  if (file.endsWith('.js')) files[`/doorward/${file}`] = [new URL(file, client), 'text/javascript']
}
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  'img-src data:',
  `connect-src 'self' ${DOORWARD}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://here')
  response.setHeader('content-security-policy', policy).setHeader('x-content-type-options', 'nosniff')
  if (pathname === '/config.json') {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ url: DOORWARD, mode: MODE }))
  } else if (files[pathname]) {
    const [file, type] = files[pathname]
    response.setHeader('content-type', type).end(await readFile(new URL(file, import.meta.url)))
  } else {
    response.writeHead(404).end()
  }
}).listen(Number(PORT), '127.0.0.1', function () {
  console.log(`The page is at http://localhost:${this.address().port}`)
})
