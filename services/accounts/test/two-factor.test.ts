import { installationId } from '@parley/contracts'
import type { ServiceDatabase } from '@parley/runtime'
import type { World } from '@parley/runtime/testing'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { App } from '../src/app.ts'
import type { DB } from '../src/db/types.ts'
import { findUser } from '../src/db/users.ts'
import { takeSecondFactor } from '../src/second-factor.ts'
import { stepAt, totpCode } from '../src/totp.ts'
import { changeKey, dropPreviousKey } from './installation-key.ts'
import { type Joined, openPeople, password, type People, startPeople } from './sign-ups.ts'

let world: World
let people: People
beforeAll(async () => {
  world = await startPeople({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  people = openPeople(world)
})
afterAll(async () => {
  await world?.stop()
})

const appOf = () => world.running.services.find(({ name }) => name === 'accounts')?.app as App
/** A code is good for its thirty seconds only: the clock stands still between reading one and typing it. */
function hold(): Date {
  const at = new Date()
  appOf().now = () => at
  return at
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

interface Secured extends Joined {
  secret: Buffer
  recoveryCodes: string[]
  /** A code that is good now and was not used: as if the last one had been used long ago. */
  code(): Promise<string>
}

async function joinWithSecondFactor(organizationName?: string): Promise<Secured> {
  const joined = await people.join(organizationName === undefined ? {} : { organizationName })
  return { ...joined, ...(await turnOn(joined)) }
}

async function turnOn(
  joined: Pick<Joined, 'userId' | 'accessToken'>,
): Promise<Pick<Secured, 'secret' | 'recoveryCodes' | 'code'>> {
  const begun = await people.as(joined.accessToken, 'POST', '/v1/me/two-factor', { password })
  expect(begun.status).toBe(200)
  const secret = fromBase32(begun.body.secret)
  const code = totpCode(secret, stepAt(hold()))
  const { status, body } = await people.as(joined.accessToken, 'POST', '/v1/me/two-factor/confirm', { code })
  expect(status).toBe(200)
  return {
    secret,
    recoveryCodes: body.recoveryCodes,
    async code() {
      await world.sql('update accounts.users set totp_last_step = 0 where user_id = $1', [joined.userId])
      return totpCode(secret, stepAt(hold()))
    },
  }
}

describe('turning it on', () => {
  test('needs the password, then a code of the app, and is told to the owner', async () => {
    const { accessToken, email } = await people.join()
    expect((await people.as(accessToken, 'POST', '/v1/me/two-factor', {})).status).toBe(403)
    expect((await people.as(accessToken, 'POST', '/v1/me/two-factor', { password: 'not the password' })).status).toBe(403)
    const { body } = await people.as(accessToken, 'POST', '/v1/me/two-factor', { password })
    expect(body.uri).toContain(`secret=${body.secret}`)
    expect((await people.as(accessToken, 'POST', '/v1/me/two-factor/confirm', { code: '000000' })).status).toBe(403)
    // Begun is not on.
    expect((await people.as(accessToken, 'GET', '/v1/me/two-factor')).body).toEqual({ enabled: false, recoveryCodesLeft: 0 })
    expect((await people.signIn(email)).status).toBe(200)

    const code = totpCode(fromBase32(body.secret), stepAt(hold()))
    const { status, body: on } = await people.as(accessToken, 'POST', '/v1/me/two-factor/confirm', { code })
    expect(status).toBe(200)
    expect(on.recoveryCodes).toHaveLength(10)
    expect(new Set(on.recoveryCodes).size).toBe(10)
    expect((await people.as(accessToken, 'GET', '/v1/me/two-factor')).body).toEqual({ enabled: true, recoveryCodesLeft: 10 })
    expect((await people.mailTo(email, 'two_factor_on')).subject).toBe('Two-factor sign-in is on')
    expect((await people.as(accessToken, 'POST', '/v1/me/two-factor', { password })).status).toBe(409)
  })

  test('keeps the secret sealed and the recovery codes hashed', async () => {
    const person = await joinWithSecondFactor()
    const rows = await world.sql<{ row: string }>(
      `select u::text as row from accounts.users u union all select r::text from accounts.recovery_codes r`,
    )
    const all = rows.map(({ row }) => row).join('\n')
    expect(all).not.toContain(person.secret.toString('base64'))
    expect(all).not.toContain(person.secret.toString('hex'))
    for (const code of person.recoveryCodes) expect(all).not.toContain(code)
  })

  test('gives recovery codes that nobody finds from their hashes: five random bits a letter, 112 at least', async () => {
    const { recoveryCodes } = await joinWithSecondFactor()
    for (const code of recoveryCodes) {
      const letters = code.replaceAll('-', '')
      expect(letters).toMatch(/^[0-9a-hjkmnp-tv-z]+$/)
      expect(letters.length * 5).toBeGreaterThanOrEqual(112)
    }
  })
})

describe('signing in with it', () => {
  test('asks for a code only who knows the password, and takes it once', async () => {
    const person = await joinWithSecondFactor()
    const code = await person.code()
    expect((await people.signIn(person.email, { password: 'not the password', code })).body.error.details).toBeUndefined()
    expect(await people.signIn(person.email)).toMatchObject({
      status: 401,
      body: { error: { code: 'unauthenticated', details: { reason: 'second_factor_required' } } },
    })
    expect((await people.signIn(person.email, { code })).status).toBe(200)
    // Seen over the shoulder, it opens nothing.
    expect(await people.signIn(person.email, { code })).toMatchObject({
      status: 401,
      body: { error: { details: { reason: 'second_factor_wrong' } } },
    })
  })

  test('takes one code once, also when several send it at the same moment', async () => {
    const person = await joinWithSecondFactor()
    const code = await person.code()
    const both = await Promise.all(Array.from({ length: 5 }, () => people.signIn(person.email, { code })))
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1)

    // Passwords are checked two at a time, so calls seldom meet at the code; these do.
    const { database, app } = world.running.services[0] as unknown as { database: ServiceDatabase<DB>; app: App }
    const again = await person.code()
    const user = await database.read(installationId, (tx) => findUser(tx, person.userId))
    if (user === undefined) throw new Error('The person is gone.')
    const take = () => database.commit({ organizationId: installationId }, (tx) => takeSecondFactor(app, tx, user, again))
    const taken = await Promise.all(Array.from({ length: 5 }, take))
    expect(taken.filter((factor) => factor === 'totp')).toHaveLength(1)
  })

  test('takes each recovery code once, however it is written', async () => {
    const person = await joinWithSecondFactor()
    const [first = '', second = ''] = person.recoveryCodes
    expect((await people.signIn(person.email, { code: first.toUpperCase().replaceAll('-', ' ') })).status).toBe(200)
    expect((await people.signIn(person.email, { code: first })).status).toBe(401)
    expect((await people.signIn(person.email, { code: second })).status).toBe(200)
    expect((await people.as(person.accessToken, 'GET', '/v1/me/two-factor')).body.recoveryCodesLeft).toBe(8)
    const stranger = await joinWithSecondFactor()
    expect((await people.signIn(person.email, { code: stranger.recoveryCodes[0] })).status).toBe(401)
  })

  test('cannot be guessed: codes count like passwords, and asking without one does not begin anew', async () => {
    const person = await joinWithSecondFactor()
    const code = await person.code()
    for (let i = 0; i < 5; i++) {
      expect((await people.signIn(person.email)).body.error.details.reason).toBe('second_factor_required')
      expect((await people.signIn(person.email, { code: String(100_000 + i) })).status).toBe(401)
    }
    expect((await people.signIn(person.email, { code })).status).toBe(429)
  })

  test('is taken however it was written, and a right code that is no good any more is not counted as a guess', async () => {
    const person = await joinWithSecondFactor()
    const written = async (as: (code: string) => string) => people.signIn(person.email, { code: as(await person.code()) })
    const spaced = (code: string) => `${code.slice(0, 3)} ${code.slice(3)}`
    const arabic = (code: string) => code.replace(/\d/g, (digit) => String.fromCharCode(0x660 + Number(digit)))
    for (const as of [spaced, (code: string) => spaced(code).replace(' ', '-'), arabic])
      expect((await written(as)).status).toBe(200)
    // Sent ten times, and typed half a minute late ten times: neither is a guess, and the eleventh is as free as the first.
    const code = await person.code()
    expect((await people.signIn(person.email, { code })).status).toBe(200)
    const before = totpCode(person.secret, stepAt(appOf().now()) - 1)
    for (const stale of [...Array<string>(10).fill(code), ...Array<string>(10).fill(before)]) {
      expect(await people.signIn(person.email, { code: stale })).toMatchObject({
        status: 401,
        body: { error: { details: { reason: 'second_factor_wrong' } } },
      })
    }
    expect((await people.signIn(person.email, { code: await person.code() })).status).toBe(200)
  })

  test('is asked for by a link too, which stays good until the code is right', async () => {
    const person = await joinWithSecondFactor()
    const { requestToken, token } = await people.askLink(person.email)
    const redeem = (code?: string) =>
      people.post('/v1/auth/magic-link/redeem', { requestToken, token, ...(code === undefined ? {} : { code }) })
    expect((await redeem()).body.error.details.reason).toBe('second_factor_required')
    expect((await redeem('000000')).body.error.details.reason).toBe('second_factor_wrong')
    expect((await redeem(await person.code())).status).toBe(200)
    expect((await redeem(await person.code())).status).toBe(410)
  })

  test('is asked for, with the password, when one proves again who one is', async () => {
    const person = await joinWithSecondFactor()
    const again = (body: unknown) => people.as(person.accessToken, 'POST', '/v1/auth/reauthenticate', body)
    const refused = (reason: string) => ({ status: 403, body: { error: { details: { reason } } } })
    expect(await again({ password })).toMatchObject(refused('code_required'))
    expect(await again({ code: await person.code() })).toMatchObject(refused('password_required'))
    expect(await again({ password, code: '000000' })).toMatchObject(refused('code_wrong'))
    expect((await again({ password, code: await person.code() })).status).toBe(200)
  })

  test('stays on when the password is reset by mail', async () => {
    const person = await joinWithSecondFactor()
    await people.post('/v1/auth/password-reset', { email: person.email })
    const token = await people.tokenTo(person.email, 'password_reset')
    const newPassword = 'a later and calmer sea'
    expect((await people.post('/v1/auth/password-reset/redeem', { token, newPassword })).body).not.toHaveProperty('accessToken')
    expect((await people.signIn(person.email, { password: newPassword })).body.error.details.reason).toBe(
      'second_factor_required',
    )
  })
})

describe('a change of the installation’s key', () => {
  test('leaves second factors and signing keys working, sealed with the new key, and the old one can go', async () => {
    const person = await joinWithSecondFactor()
    await changeKey(world)
    await world.settle()
    await dropPreviousKey(world)
    expect(await world.sql('select kid from accounts.signing_keys')).toHaveLength(1)
    expect((await people.signIn(person.email, { code: await person.code() })).status).toBe(200)
    expect((await people.as(person.accessToken, 'GET', '/v1/me')).status).toBe(200)
  })

  test('whose old one is lost keeps nobody from signing in: another key signs', async () => {
    const person = await people.join()
    world.environment['PARLEY_SECRET_KEY'] = randomBytes(32).toString('base64')
    await world.restart()
    await world.settle()
    const { status, body } = await people.signIn(person.email)
    expect(status).toBe(200)
    expect((await people.as(body.accessToken, 'GET', '/v1/me')).status).toBe(200)
    // Tokens of the lost key are good until they are over.
    expect((await people.as(person.accessToken, 'GET', '/v1/me')).status).toBe(200)
  })
})

describe('turning it off', () => {
  test('needs the password and a code', async () => {
    const person = await joinWithSecondFactor()
    const off = (body: unknown) => people.as(person.accessToken, 'POST', '/v1/me/two-factor/disable', body)
    expect((await off({ code: await person.code() })).status).toBe(403)
    expect((await off({ password, code: '000000' })).status).toBe(403)
    expect((await off({ password })).status).toBe(400)
    expect((await off({ password, code: await person.code() })).body).toMatchObject({
      enabled: false,
      session: { tokenType: 'Bearer' },
    })
    expect((await people.signIn(person.email)).status).toBe(200)
    expect(await world.sql('select 1 from accounts.recovery_codes where user_id = $1', [person.userId])).toEqual([])
    expect((await people.mailTo(person.email, 'two_factor_off')).text).toContain('/reset-password')
  })

  test('cannot be done by guessing codes with the password at hand: being right about one forgets no try of the other', async () => {
    const person = await joinWithSecondFactor()
    const off = (code: string) => people.as(person.accessToken, 'POST', '/v1/me/two-factor/disable', { password, code })
    const right = await person.code()
    for (let i = 0; i < 5; i++) expect((await off(String(100_000 + i))).status).toBe(403)
    expect((await off(right)).status).toBe(429)
  })

  test('and renewing the recovery codes ends those before', async () => {
    const person = await joinWithSecondFactor()
    const { status, body } = await people.as(person.accessToken, 'POST', '/v1/me/two-factor/recovery-codes', {
      password,
      code: person.recoveryCodes[0],
    })
    expect(status).toBe(200)
    expect(body.recoveryCodes).toHaveLength(10)
    expect((await people.signIn(person.email, { code: person.recoveryCodes[1] })).status).toBe(401)
    expect((await people.signIn(person.email, { code: body.recoveryCodes[0] })).status).toBe(200)
  })
})

describe('an organization that requires it', () => {
  const requireTwoFactor = (accessToken: string, to = true) =>
    people.as(accessToken, 'PATCH', '/v1/organization', { requireTwoFactor: to })
  const look = (accessToken: string) => people.as(accessToken, 'GET', '/v1/organization')
  const needed = { status: 403, body: { error: { code: 'forbidden', details: { reason: 'second_factor_needed' } } } }
  /** What a service knows of an organization is two seconds old at most. */
  const becomes = (accessToken: string, status: number) =>
    expect.poll(async () => (await look(accessToken)).status, { timeout: 5_000, interval: 100 }).toBe(status)
  const refresh = async (refreshToken: string) => (await people.post('/v1/auth/refresh', { refreshToken })).body

  async function admin(organizationId: string | null): Promise<Joined> {
    const joined = await people.join()
    await world.sql(`insert into accounts.members (organization_id, user_id, role, permissions) values ($1, $2, 'admin', '{}')`, [
      organizationId,
      joined.userId,
    ])
    await world.sql(`insert into accounts.user_organizations (user_id, member_of) values ($1, $2)`, [
      joined.userId,
      organizationId,
    ])
    const { body } = await people.signIn(joined.email, { organizationId })
    return { ...joined, ...body }
  }

  test('says so, is shut to who has none but for turning one on, and opens once they have proved it', async () => {
    const owner = await joinWithSecondFactor('Guarded')
    const colleague = await admin(owner.organizationId)
    expect((await look(colleague.accessToken)).status).toBe(200)
    expect((await requireTwoFactor(owner.accessToken)).body).toMatchObject({ requireTwoFactor: true, revision: 2 })
    await world.settle()
    const [told] = (await world.events('accounts', 'organization.updated')).filter((event) => event.key === owner.organizationId)
    expect(told?.data).toMatchObject({ requireTwoFactor: true })

    await becomes(colleague.accessToken, 403)
    expect(await look(colleague.accessToken)).toMatchObject(needed)
    expect(await requireTwoFactor(colleague.accessToken, false)).toMatchObject(needed)
    const again = await people.signIn(colleague.email, { organizationId: owner.organizationId })
    expect(again.body.organizationId).toBe(owner.organizationId)
    expect(await look(again.body.accessToken)).toMatchObject(needed)
    const renewed = await refresh(colleague.refreshToken)
    expect(await look(renewed.accessToken)).toMatchObject(needed)

    // The session that proved it goes on after its next refresh; the other one has proved nothing, and ends.
    await turnOn({ userId: colleague.userId, accessToken: renewed.accessToken })
    expect((await look((await refresh(renewed.refreshToken)).accessToken)).status).toBe(200)
    expect((await people.post('/v1/auth/refresh', { refreshToken: again.body.refreshToken })).status).toBe(401)
    // The owner’s token is older than their second factor; signing in with a code brings one that is not.
    expect(await look(owner.accessToken)).toMatchObject(needed)
    expect((await look((await refresh(owner.refreshToken)).accessToken)).status).toBe(200)
    const signedIn = await people.signIn(owner.email, { code: await owner.code() })
    expect((await look(signedIn.body.accessToken)).status).toBe(200)
    await requireTwoFactor(signedIn.body.accessToken, false)
    await becomes(again.body.accessToken, 401)
  })

  test('is made so only by who has one in this session, so that nobody shuts themselves out', async () => {
    const joined = await people.join({ organizationName: 'Open' })
    expect(await requireTwoFactor(joined.accessToken)).toMatchObject({
      status: 409,
      body: { error: { code: 'conflict', details: { reason: 'second_factor_needed' } } },
    })
    expect((await look(joined.accessToken)).body).toMatchObject({ requireTwoFactor: false, revision: 1 })
    expect((await requireTwoFactor(joined.accessToken, false)).status).toBe(200)
  })

  test('is shut again to who turns theirs off: what was opened with it ends, and this session goes on under new tokens', async () => {
    const owner = await joinWithSecondFactor('Wavering')
    await requireTwoFactor((await refresh(owner.refreshToken)).accessToken)
    const signIn = async () => (await people.signIn(owner.email, { code: await owner.code() })).body
    const [elsewhere, here] = [await signIn(), await signIn()]
    await becomes(owner.accessToken, 403)
    for (const { accessToken } of [elsewhere, here]) expect((await look(accessToken)).status).toBe(200)
    const off = await people.as(here.accessToken, 'POST', '/v1/me/two-factor/disable', { password, code: await owner.code() })
    expect(off).toMatchObject({ status: 200, body: { session: { organizationId: owner.organizationId } } })

    // No token says any more that there was a second factor, not even one that was signed a moment ago.
    for (const { accessToken } of [elsewhere, here]) await becomes(accessToken, 401)
    for (const { refreshToken } of [elsewhere, here])
      expect((await people.post('/v1/auth/refresh', { refreshToken })).status).toBe(401)
    const { session } = off.body
    expect(await look(session.accessToken)).toMatchObject(needed)
    expect(await look((await refresh(session.refreshToken)).accessToken)).toMatchObject(needed)
    expect((await people.as(session.accessToken, 'GET', '/v1/me')).status).toBe(200)
    const reasons = await world.sql('select end_reason from accounts.sessions where session_id = any($1) order by 1', [
      [elsewhere.sessionId, here.sessionId],
    ])
    expect(reasons).toEqual([{ end_reason: 'replaced' }, { end_reason: 'two_factor_off' }])
  })
})

test('each change is in the audit log, without a secret', async () => {
  const person = await joinWithSecondFactor()
  const entries = (await world.events('accounts', 'audit.change_recorded'))
    .map(({ data }) => data as { resourceType: string; resourceId: string; after: unknown })
    .filter(({ resourceType, resourceId }) => resourceType === 'two_factor' && resourceId === person.userId)
  expect(entries.map(({ after }) => after)).toEqual([{ state: 'begun' }, { state: 'on' }])
})
