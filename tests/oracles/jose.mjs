// Tests Doorward's tokens with jose: it must read ours, and Doorward must judge what it makes.
//
// Usage: jose.mjs, with the program in DOORWARD (default: target/debug/doorward).

import { spawn, spawnSync } from 'node:child_process'
import { createHmac, webcrypto } from 'node:crypto'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

globalThis.crypto ??= webcrypto // for Node 18
const jose = await import('jose')

const PROGRAM = process.env.DOORWARD ?? 'target/debug/doorward'
const SECRET = 'for jose and Doorward alone, and long enough for HS512: 7f3a91c05be2d846'
const NAME = 'doorward' // both issuer and audience
const bytes = (text) => new TextEncoder().encode(text)
const verdicts = []

async function sharedSecret() {
  console.log('\njose and HS256, by a shared secret')
  await serving({ JWT_SECRET: SECRET }, async (server) => {
    check('publishes no key', (await server.send('/.well-known/jwks.json')).body.keys?.length === 0)
    const claims = await reads(server, 'HS256', bytes(SECRET))
    const now = Math.floor(Date.now() / 1000)
    const minted = (changes = {}, header = {}, secret = SECRET) =>
      forge({ ...claims, ...changes }, { ...server.header, ...header }, bytes(secret))

    await server.accepts('its token', await minted())
    await server.accepts('one of a minute ago', await minted({ iat: now - 60, exp: now + 60 }))
    await server.accepts('one with a claim more', await minted({ colour: 'green' }))
    await server.refuses('another secret', await minted({}, {}, SECRET.toUpperCase()))
    await server.refuses('alg none', unsigned(claims, server.header))
    await server.refuses("jose's UnsecuredJWT", new jose.UnsecuredJWT(claims).encode())
    for (const alg of ['HS384', 'HS512']) await server.refuses(alg, await minted({}, { alg }))
    await server.refuses('another typ', await minted({}, { typ: 'JWT' }))
    await server.refuses('no typ', await minted({}, { typ: undefined }))
    await server.refuses('another kid', await minted({}, { kid: 'another' }))
    await server.refuses('no kid', await minted({}, { kid: undefined }))
    await server.refuses('an expired one', await minted({ iat: now - 1000, exp: now - 100 }), 'token_expired')
    await server.refuses('one that begins tomorrow', await minted({ nbf: now + 86_400 }))
    await server.refuses('one from tomorrow', await minted({ iat: now + 86_400, exp: now + 86_500 }))
    const mayLack = ['ver', 'auth_time', 'amr']
    for (const name of mayLack) await server.accepts(`one without ${name}`, await minted({ [name]: undefined }))
    for (const value of ['0', -1, 0.5, true, null, [], {}, 2 ** 53, 1e300]) {
      await server.refuses(`ver ${JSON.stringify(value)}`, await minted({ ver: value }))
    }
    for (const name of Object.keys(claims).filter((name) => !mayLack.includes(name))) {
      await server.refuses(`one without ${name}`, await minted({ [name]: undefined }))
    }
    for (const name of ['iss', 'aud']) {
      for (const value of ['other', NAME.toUpperCase(), `${NAME}/`, '', [NAME], ['other'], []]) {
        await server.refuses(`${name} ${JSON.stringify(value)}`, await minted({ [name]: value }))
      }
    }
    for (const value of [`${claims.exp}`, -1, 0.5, true, null, [], {}, claims.exp + 1e6, 2 ** 63, 1e300]) {
      await server.refuses(`exp ${JSON.stringify(value)}`, await minted({ exp: value }))
    }
  })
}

async function keyPair(algorithm) {
  console.log(`\njose and ${algorithm}, by the published key`)
  await serving({ DOORWARD_ACCESS_ALGORITHM: algorithm }, async (server) => {
    const published = (await server.send('/.well-known/jwks.json')).body
    const remote = jose.createRemoteJWKSet(new URL('/.well-known/jwks.json', server.url))
    const claims = await reads(server, algorithm, remote)
    for (const key of published.keys) {
      const thumbprint = await jose.calculateJwkThumbprint(key)
      check('its key id is the thumbprint of the key', key.kid === thumbprint)
      check('publishes no private part', !['d', 'p', 'q', 'k'].some((part) => part in key))
      const pem = await jose.exportSPKI(await jose.importJWK({ ...key, ext: true }, algorithm))
      for (const secret of [pem, pem.trim(), JSON.stringify(key), key.x ?? key.n]) {
        await server.refuses('the public key as a secret', hs256(claims, server.header, secret))
      }
    }
    await server.accepts('our own token', server.token)
    const { privateKey } = await jose.generateKeyPair(algorithm)
    await server.refuses('another key under our kid', await forge(claims, server.header, privateKey))
    await server.refuses('alg none', unsigned(claims, server.header))
  })
}

/** Checks that jose accepts our token, and only unaltered; gives its claims. */
async function reads(server, algorithm, key) {
  const strict = { algorithms: [algorithm], audience: NAME, issuer: NAME, typ: 'at+jwt', requiredClaims: ['sub', 'exp'] }
  const { payload } = await jose.jwtVerify(server.token, key, strict)
  check('jose accepts our token', payload.sub === server.user.id)
  const [header, , signature] = server.token.split('.')
  const altered = `${header}.${encode({ ...payload, role: 'admin' })}.${signature}`
  const refusal = await jose.jwtVerify(altered, key, strict).catch((error) => error)
  check('jose refuses it when altered', refusal instanceof jose.errors.JWSSignatureVerificationFailed)
  return payload
}

/** A token of any claims, signed by jose. */
function forge(claims, header, key) {
  return new jose.CompactSign(bytes(JSON.stringify(claims))).setProtectedHeader(header).sign(key)
}

function unsigned(claims, header) {
  return `${encode({ ...header, alg: 'none' })}.${encode(claims)}.`
}

/** By hand: jose refuses to sign with a secret this short, or with a public key. */
function hs256(claims, header, secret) {
  const signed = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function encode(value) {
  return jose.base64url.encode(JSON.stringify(value))
}

function check(what, holds) {
  verdicts.push(Boolean(holds))
  console.log(holds ? 'ok    ' : 'FAILED', what)
}

/** Runs `story` with a server with only these settings, and one user who is signed in. */
async function serving(settings, story) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DOORWARD|JWT_)/.test(name))
  const env = { ...Object.fromEntries(inherited), ...settings }
  const folder = mkdtempSync(join(tmpdir(), 'doorward-oracle-'))
  const [data, output] = [join(folder, 'data'), join(folder, 'output')]
  const descriptor = openSync(output, 'w')
  const command = ['serve', '--listen', '127.0.0.1:0', '--data', data, '--dev']
  const child = spawn(PROGRAM, command, { env, stdio: ['ignore', descriptor, descriptor] })
  const exited = new Promise((resolve) => child.on('error', resolve).on('exit', resolve))
  try {
    const server = new Server(await address(child, output), data, env)
    await server.register()
    await story(server)
  } finally {
    child.kill()
    await exited
    rmSync(folder, { recursive: true })
  }
}

/** The first URL on the server's output. */
async function address(child, output) {
  for (let tries = 0; tries < 300 && child.exitCode === null; tries++) {
    const url = /http:\/\/[\d.]+:\d+/.exec(readFileSync(output, 'utf8'))
    if (url) return url[0]
    await sleep(100)
  }
  throw new Error(`the server did not start: ${readFileSync(output, 'utf8')}`)
}

class Server {
  constructor(url, data, env) {
    Object.assign(this, { url, data, env })
  }

  async register() {
    const user = { name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' }
    const { body } = await this.send('/register', user)
    Object.assign(this, { user: body.user, token: body.token, header: jose.decodeProtectedHeader(body.token) })
  }

  async send(path, body, token) {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    if (token) headers.authorization = `Bearer ${token}`
    const method = body ? 'POST' : 'GET'
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) })
    return { status: answer.status, body: await answer.json() }
  }

  run(...command) {
    return spawnSync(PROGRAM, [...command, '--data', this.data], { env: this.env })
  }

  async accepts(what, token) {
    const { status, body } = await this.send('/profile', undefined, token)
    check(`accepts ${what}`, status === 200 && body.user.id === this.user.id)
    check(`accepts ${what} (command line)`, this.run('token', 'verify', token).status === 0)
  }

  async refuses(what, token, code = 'token_invalid') {
    const { status, body } = await this.send('/profile', undefined, token)
    check(`refuses ${what}`, status === 401 && body.code === code)
    check(`refuses ${what} (command line)`, this.run('token', 'verify', token).status !== 0)
  }
}

await sharedSecret()
for (const algorithm of ['ES256', 'EdDSA', 'RS256']) await keyPair(algorithm)
const passed = verdicts.filter(Boolean).length
console.log(`\n${passed} passed, ${verdicts.length - passed} failed`)
process.exit(passed === verdicts.length ? 0 : 1)
