// `doorward/account`, with a real server: what each call changes, and what the client then knows.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'doorward'
import { changePassword, deleteAccount, devices, endDevice, endOtherDevices, resetPassword, updateProfile } from 'doorward/account'
import { forRequest } from 'doorward/server'
import { ada, email, serve, using } from './support.mjs'

const NEXT = 'another door, another promise'

const modes = {
  bearer: (url) => createClient({ url }),
  // One browser's cookies, in one client.
  session: (url) => forRequest({ url, mode: 'session' }, {}, () => {}),
  cookie: (url) => forRequest({ url, mode: 'cookie' }, {}, () => {}),
}

for (const [mode, visitor] of Object.entries(modes)) {
  test(`an account from its first name to its end: ${mode}`, { timeout: 60_000 }, () =>
    using(async (use) => {
      const { url, run } = use(await serve())
      const [client, phone, laptop] = [visitor(url), visitor(url), visitor(url)]
      const told = []
      client.onChange((user) => told.push(user && `${user.name} ${user.email}`))
      await client.register(ada)
      const renamed = await updateProfile(client, { name: 'Ada L.' })
      assert.equal(renamed.name, 'Ada L.')
      assert.deepEqual(client.user, renamed)
      const address = email('countess')
      await assert.rejects(updateProfile(client, { email: address, password: NEXT }), { code: 'wrong_password', status: 403 })
      await assert.rejects(updateProfile(client, { name: '' }), ({ code, fields }) => code === 'invalid_input' && fields[0].field === 'name')
      await updateProfile(client, { email: address, password: ada.password })
      assert.equal((await client.profile()).email, address)

      const credentials = { email: address, password: ada.password }
      for (const one of [phone, laptop]) await one.login(credentials)
      assert.equal((await devices(client)).length, 3)
      const [{ id }] = (await devices(phone)).filter((device) => device.current)
      await endDevice(client, id)
      await assert.rejects(phone.profile(), { code: 'session_ended' })
      await assert.rejects(endDevice(client, 'nobody/../profile'), { code: 'not_found' })
      assert.equal(await endOtherDevices(client), 1)
      await assert.rejects(laptop.profile(), { code: 'session_ended' })
      assert.equal((await devices(client)).length, 1)

      await phone.login(credentials)
      await assert.rejects(changePassword(client, NEXT, NEXT), { code: 'wrong_password' })
      await changePassword(client, ada.password, NEXT)
      assert.equal((await client.profile()).email, address)
      await assert.rejects(phone.profile(), { code: 'session_ended' })

      const link = new URL(/http\S+/.exec(run('user', 'reset-link', address))[0])
      const token = link.searchParams.get('token')
      await assert.rejects(resetPassword(client, token, 'short'), ({ fields }) => fields[0].field === 'new_password')
      assert.equal(await resetPassword(client, token, ada.password), 1)
      assert.equal(client.user, null)
      await assert.rejects(resetPassword(client, token, NEXT), { code: 'link_invalid' })

      await client.login(credentials)
      await assert.rejects(deleteAccount(client, NEXT), { code: 'wrong_password' })
      assert.ok(client.user)
      await deleteAccount(client, ada.password)
      assert.equal(client.user, null)
      await assert.rejects(client.login(credentials), { code: 'invalid_credentials' })
      const steps = ['ada ada', 'Ada L. ada', 'Ada L. countess', null, 'Ada L. countess', null]
      assert.deepEqual(told, steps.map((step) => step && `${step}@example.org`))
    }),
  )
}
