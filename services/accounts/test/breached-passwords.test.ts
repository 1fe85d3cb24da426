import { type BreachedPasswordsSimulator, startBreachedPasswordsSimulator } from '@parley/providers/breached-passwords'
import type { World } from '@parley/runtime/testing'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { newEmail, openPeople, password, type People, startPeople } from './sign-ups.ts'

/** On no list of ours. */
const breached = 'seven quiet lanterns'

let service: BreachedPasswordsSimulator
let world: World
let people: People
beforeAll(async () => {
  service = await startBreachedPasswordsSimulator({ seen: { [breached]: 41 } })
  world = await startPeople(
    { postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') },
    { ACCOUNTS_BREACHED_PASSWORDS_URL: service.url },
  )
  people = openPeople(world)
})
afterEach(() => service.faults.clear())
afterAll(async () => {
  await world?.stop()
  await service?.close()
})
const refused = { status: 400, body: { error: { code: 'invalid', message: expect.stringContaining('breach') } } }

describe('a password from a breach', () => {
  test('is refused at sign-up, when it is changed, when it is reset, and on the way in', async () => {
    expect(await people.post('/v1/auth/sign-up', { email: newEmail(), password: breached })).toMatchObject(refused)
    const { email, accessToken } = await people.join()
    const change = { currentPassword: password, newPassword: breached }
    expect(await people.as(accessToken, 'POST', '/v1/me/password', change)).toMatchObject(refused)
    await people.post('/v1/auth/password-reset', { email })
    const token = await people.tokenTo(email, 'password_reset')
    expect(await people.post('/v1/auth/password-reset/redeem', { token, newPassword: breached })).toMatchObject(refused)
    await world.sql('update accounts.users set require_password_change = true where email = $1', [email])
    expect(await people.signIn(email, { newPassword: breached })).toMatchObject(refused)
    expect((await people.signIn(email, { newPassword: 'eight calmer lanterns' })).status).toBe(200)
  })

  test('is not asked about when it is refused anyway, nor when somebody signs in', async () => {
    const { email } = await people.join()
    const before = service.asked.length
    expect((await people.post('/v1/auth/sign-up', { email: newEmail(), password: 'password1' })).status).toBe(400)
    expect((await people.signIn(email)).status).toBe(200)
    expect(service.asked.length).toBe(before)
  })

  test('is taken while the service cannot say, and nobody’s sign-up waits for it for long', async () => {
    service.faults.always({ kind: 'delay', beforeMs: 60_000 })
    const started = performance.now()
    expect((await people.post('/v1/auth/sign-up', { email: newEmail(), password: breached })).status).toBe(202)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
