// Runs test files in one browser that they share: each story has a context of its own.
//
// Usage: node tests/browser/run.mjs FILE…, with the program in DOORWARD and a browser in CHROMIUM.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { serveBrowser } from './chromium.mjs'

const server = await serveBrowser()
const flags = ['--test', '--test-concurrency=2', '--test-timeout=300000', '--test-reporter=spec']
const tests = spawn(process.execPath, [...flags, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, BROWSER_AT: server.wsEndpoint() },
})
const [code] = await once(tests, 'exit')
await server.close()
process.exit(code ?? 1)
