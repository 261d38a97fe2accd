// React in a page. It is published for `require` alone, so the page gets its files by name.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { resolve } = createRequire(import.meta.url)
const FILES = [
  ['react', 'react', 'react'],
  ['scheduler', 'scheduler', 'scheduler'],
  ['react-dom', 'react-dom', 'react-dom'],
  ['react-dom/client', 'react-dom', 'react-dom-client'],
].map(([name, from, file]) => [name, readFileSync(resolve(from).replace('index.js', `cjs/${file}.production.js`), 'utf8')])

/** Makes `React` and `ReactDOM` of the page's global object. */
export const loadReact = (page) =>
  page.evaluate((files) => {
    const loaded = {}
    for (const [name, text] of files) {
      const module = { exports: {} }
      new Function('require', 'module', 'exports', text)((one) => loaded[one], module, module.exports)
      loaded[name] = module.exports
    }
    globalThis.React = loaded.react
    globalThis.ReactDOM = loaded['react-dom/client']
  }, FILES)
