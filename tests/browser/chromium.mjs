// The browser of the tests: the one that run.mjs shares, or one of their own.

import { chromium } from 'playwright-core'

const options = {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  // Host names on this machine that browsers don't trust as they trust localhost.
  args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.example.com 127.0.0.1'],
}

export const serveBrowser = () => chromium.launchServer(options)

export const openBrowser = () =>
  process.env.BROWSER_AT ? chromium.connect(process.env.BROWSER_AT) : chromium.launch(options)
