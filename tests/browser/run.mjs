// Runs test files in one browser that they share: each story has a context of its own.
//
// Usage: node tests/browser/run.mjs FILE…, with the program in DOORWARD and a browser in CHROMIUM.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { serveBrowser } from './chromium.mjs'

const server = await serveBrowser()
const flags = ['--test', '--test-concurrency=2', '--test-timeout=600000', '--test-reporter=spec']
// A connection to the browser that stays open must not keep a file of finished tests waiting.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major > 20 || (major === 20 && minor >= 14)) flags.push('--test-force-exit')
const tests = spawn(process.execPath, [...flags, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, BROWSER_AT: server.wsEndpoint() },
})
const [code] = await once(tests, 'exit')
await server.close()
process.exit(code ?? 1)
