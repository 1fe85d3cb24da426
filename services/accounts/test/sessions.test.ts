import { installationId } from '@parley/contracts'
import type { Caller, ServiceDatabase } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import type { App } from '../src/app.ts'
import { keepSigningKeys } from '../src/db/signing-keys.ts'
import type { DB } from '../src/db/types.ts'
import { endSessionBefore, openSession } from '../src/open-session.ts'
import { newEmail, openPeople, password, type People, startPeople } from './sign-ups.ts'

let world: World
let people: People
beforeAll(async () => {
  world = await startPeople({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  people = openPeople(world)
})
afterAll(async () => {
  await world?.stop()
})

const app = () => world.running.services.find(({ name }) => name === 'accounts')?.app as App
const refresh = (refreshToken: string) => people.post('/v1/auth/refresh', { refreshToken })
const me = async (accessToken: string) => (await people.as(accessToken, 'GET', '/v1/me')).status
/** As if the last refreshes were so long ago. */
const age = (sessionId: string, seconds: number) =>
  world.sql(`update accounts.refresh_tokens set used_at = used_at - $2 * interval '1 second' where session_id = $1`, [
    sessionId,
    seconds,
  ])

describe('an access token', () => {
  test('is signed with a key of the JWKS, names person, session and organization, and lives ten minutes', async () => {
    const joined = await people.join({ organizationName: 'Claims' })
    const response = await fetch(`${world.running.url}/.well-known/jwks.json`)
    expect(response.headers.get('cache-control')).toBe('public, max-age=300')
    const jwks = (await response.json()) as Parameters<typeof createLocalJWKSet>[0]
    expect(JSON.stringify(jwks)).not.toContain('"d"')
    const { payload, protectedHeader } = await jwtVerify(joined.accessToken, createLocalJWKSet(jwks), {
      issuer: 'parley',
      audience: 'parley',
      typ: 'at+jwt',
      algorithms: ['EdDSA'],
    })
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: jwks.keys[0]?.kid })
    expect(payload).toMatchObject({ sub: joined.userId, sid: joined.sessionId, org: joined.organizationId })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600)
    expect(Math.abs((payload['auth_time'] as number) - Date.now() / 1000)).toBeLessThan(30)
  })

  test('without an organization names none', async () => {
    const joined = await people.join()
    expect(joined.organizationId).toBeNull()
    expect(decodeJwt(joined.accessToken)).not.toHaveProperty('org')
    expect(await me(joined.accessToken)).toBe(200)
  })
})

describe('a refresh token', () => {
  test('is changed for the next one, for as long as the session lives', async () => {
    const joined = await people.join()
    let token = joined.refreshToken
    for (let i = 0; i < 3; i++) {
      const { status, body } = await refresh(token)
      expect(status).toBe(200)
      expect(body.refreshToken).not.toBe(token)
      expect(body.sessionId).toBe(joined.sessionId)
      expect(await me(body.accessToken)).toBe(200)
      token = body.refreshToken
    }
  })

  test('that comes again at once gets the same answer, because the first one may have been lost', async () => {
    const { refreshToken } = await people.join()
    const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(refreshToken)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1)
    expect((await refresh(answers[0]?.body.refreshToken)).status).toBe(200)
  })

  test('that comes again later ends the session for both who have it, and its owner hears of it', async () => {
    const joined = await people.join()
    const other = await people.signIn(joined.email)
    const stolen = joined.refreshToken
    const { body: next } = await refresh(stolen)
    await age(joined.sessionId, 11)

    expect((await refresh(stolen)).status).toBe(401)
    expect((await refresh(next.refreshToken)).status).toBe(401)
    await world.settle()
    await vi.waitUntil(async () => (await me(next.accessToken)) === 401, { timeout: 5_000 })
    expect(await people.mailTo(joined.email, 'token_reused')).toMatchObject({ subject: 'A session of yours was ended' })
    // The other sessions have nothing to do with it.
    expect((await refresh(other.body.refreshToken)).status).toBe(200)
    const ended = await world.sql('select end_reason from accounts.sessions where session_id = $1', [joined.sessionId])
    expect(ended).toEqual([{ end_reason: 'token_reused' }])
  })

  test('of long ago is noticed too, not only the last one', async () => {
    const joined = await people.join()
    const second = (await refresh(joined.refreshToken)).body.refreshToken
    const third = (await refresh(second)).body.refreshToken
    await age(joined.sessionId, 11)
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    expect((await refresh(third)).status).toBe(401)
  })

  test('is over after a week without use, after thirty days in all, and when its owner is suspended', async () => {
    const idle = await people.join()
    await world.sql(`update accounts.sessions set last_used_at = now() - interval '7 days 1 minute' where session_id = $1`, [
      idle.sessionId,
    ])
    expect((await refresh(idle.refreshToken)).status).toBe(401)
    const old = await people.join()
    await world.sql(`update accounts.sessions set expires_at = now() where session_id = $1`, [old.sessionId])
    expect((await refresh(old.refreshToken)).status).toBe(401)
    const suspended = await people.join()
    await world.sql(`update accounts.users set status = 'suspended' where user_id = $1`, [suspended.userId])
    expect((await refresh(suspended.refreshToken)).status).toBe(401)
    expect((await people.signIn(suspended.email)).status).toBe(401)
  })

  test('that nobody gave out is refused, and says no more than one that is over', async () => {
    const invented = await refresh('A'.repeat(43))
    const joined = await people.join()
    await people.as(joined.accessToken, 'POST', '/v1/auth/sign-out')
    const over = await refresh(joined.refreshToken)
    expect([invented.status, invented.body]).toEqual([over.status, over.body])
  })
})

describe('sessions', () => {
  test('are listed with device, address and which one asks, and nobody sees those of others', async () => {
    const joined = await people.join()
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const second = await people.post(
      '/v1/auth/sign-in',
      { email: joined.email, password },
      { ip: '203.0.113.40', userAgent: firefox },
    )
    await people.join()
    const { status, body } = await people.as(second.body.accessToken, 'GET', '/v1/me/sessions')
    expect(status).toBe(200)
    expect(body.items).toHaveLength(2)
    expect(body.items[0]).toMatchObject({ device: 'Firefox on Linux', ip: '203.0.113.40', method: 'password', current: true })
    expect(body.items[1]).toMatchObject({ sessionId: joined.sessionId, device: 'curl', method: 'verification', current: false })
    expect((await people.as(second.body.accessToken, 'GET', '/v1/me/sessions?limit=101')).status).toBe(400)
  })

  test('end one by one, and all but this one; access tokens of them are refused within seconds', async () => {
    const joined = await people.join()
    const others = await Promise.all([1, 2, 3].map(() => people.signIn(joined.email)))
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200])
    const [first, second, third] = others.map(({ body }) => body)
    expect((await people.as(joined.accessToken, 'DELETE', `/v1/me/sessions/${first.sessionId}`)).body).toEqual({
      sessionsEnded: 1,
    })
    expect((await people.as(joined.accessToken, 'DELETE', `/v1/me/sessions/${first.sessionId}`)).status).toBe(404)
    expect((await people.as(joined.accessToken, 'POST', '/v1/me/sessions/revoke-others')).body).toEqual({ sessionsEnded: 2 })
    for (const { refreshToken } of [first, second, third]) expect((await refresh(refreshToken)).status).toBe(401)
    await world.settle()
    for (const { accessToken } of [first, second, third])
      await vi.waitUntil(async () => (await me(accessToken)) === 401, { timeout: 5_000 })
    expect(await me(joined.accessToken)).toBe(200)
    expect((await refresh(joined.refreshToken)).status).toBe(200)
  })

  test('of somebody else cannot be ended', async () => {
    const [mine, theirs] = [await people.join(), await people.join()]
    expect((await people.as(mine.accessToken, 'DELETE', `/v1/me/sessions/${theirs.sessionId}`)).status).toBe(404)
    expect((await refresh(theirs.refreshToken)).status).toBe(200)
  })

  test('end by signing out', async () => {
    const joined = await people.join()
    expect((await people.as(joined.accessToken, 'POST', '/v1/auth/sign-out')).status).toBe(200)
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    await world.settle()
    await vi.waitUntil(async () => (await me(joined.accessToken)) === 401, { timeout: 5_000 })
  })
})

describe('signing in again', () => {
  test('on the same device ends the session that was there, and no other of the same person', async () => {
    const first = await people.join()
    const elsewhere = (await people.signIn(first.email)).body
    const second = (await people.signIn(first.email, { deviceToken: first.deviceToken })).body
    expect(second.deviceToken).toBe(first.deviceToken)
    expect((await refresh(first.refreshToken)).status).toBe(401)
    const { requestToken, token } = await people.askLink(first.email)
    const byLink = { requestToken, token, deviceToken: first.deviceToken }
    const third = (await people.post('/v1/auth/magic-link/redeem', byLink)).body
    expect(new Set([first, second, third].map(({ sessionId }) => sessionId)).size).toBe(3)
    for (const { refreshToken } of [first, second]) expect((await refresh(refreshToken)).status).toBe(401)
    for (const { accessToken } of [first, second])
      await vi.waitUntil(async () => (await me(accessToken)) === 401, { timeout: 5_000 })
    for (const { refreshToken } of [elsewhere, third]) expect((await refresh(refreshToken)).status).toBe(200)
    const reasons = await world.sql('select session_id, end_reason from accounts.sessions where user_id = $1 order by 1', [
      first.userId,
    ])
    expect(reasons.map(({ end_reason }) => end_reason)).toEqual(['replaced', null, 'replaced', null])
  })

  test('twice at the same moment on the same device leaves the later session, not none', async () => {
    const { userId, deviceToken } = await people.join()
    const { database } = world.running.services[0] as unknown as { database: ServiceDatabase<DB> }
    const from = { ip: '203.0.113.9', userAgent: null }
    const fresh = { userId, method: 'password', secondFactor: false, actingFor: null, from, deviceToken } as const
    const open = () => database.commit({ organizationId: installationId }, (tx, tools) => openSession(app(), tx, tools, fresh))
    // Both are there before either has ended what was before it.
    const [earlier, later] = [await open(), await open()]
    const caller: Caller = {
      organizationId: installationId,
      actor: { kind: 'member', id: userId },
      userId,
      sessionId: null,
      permissions: new Set(),
      authenticatedAt: null,
    }
    const call = { app: app(), caller, from, requestId: randomUUIDv7() }
    for (const opened of [later, earlier]) await endSessionBefore(call, 'POST /v1/auth/sign-in', opened)
    expect((await refresh(earlier.refreshToken)).status).toBe(401)
    expect((await refresh(later.refreshToken)).status).toBe(200)
  })

  test('with the device token of somebody else ends nothing of theirs', async () => {
    const [mine, theirs] = [await people.join(), await people.join()]
    expect((await people.signIn(mine.email, { deviceToken: theirs.deviceToken })).status).toBe(200)
    const { requestToken, token } = await people.askLink(mine.email)
    const borrowed = { requestToken, token, deviceToken: theirs.deviceToken }
    expect((await people.post('/v1/auth/magic-link/redeem', borrowed)).status).toBe(200)
    expect((await refresh(theirs.refreshToken)).status).toBe(200)
  })
})

describe('proving again who one is', () => {
  const again = (accessToken: string, body: unknown) => people.as(accessToken, 'POST', '/v1/auth/reauthenticate', body)
  /** An access token of this session as it is when nobody has proved anything for eleven minutes. */
  async function stale({ userId, sessionId }: { userId: string; sessionId: string }): Promise<string> {
    const authenticatedAt = new Date(Date.now() - 11 * 60_000)
    const claims = { userId, sessionId, organizationId: null, authenticatedAt, secondFactor: false }
    return (await app().accessTokens.sign(claims)).accessToken
  }

  test('with the password makes a new session in the place of this one, which lives no longer', async () => {
    const joined = await people.join()
    const old = await stale(joined)
    const { status, body } = await again(old, { password })
    expect(status).toBe(200)
    expect(body.sessionId).not.toBe(joined.sessionId)
    expect(decodeJwt(body.accessToken)['auth_time']).toBeGreaterThan(Date.now() / 1000 - 60)
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    for (const token of [old, joined.accessToken]) await vi.waitUntil(async () => (await me(token)) === 401, { timeout: 5_000 })
    expect((await refresh(body.refreshToken)).status).toBe(200)
    const lives = await world.sql('select distinct expires_at from accounts.sessions where user_id = $1', [joined.userId])
    expect(lives).toHaveLength(1)
    const { items } = (await people.as(body.accessToken, 'GET', '/v1/me/sessions')).body
    expect(items).toMatchObject([{ sessionId: body.sessionId, current: true }])
  })

  test('with another password or none does nothing, and guesses are counted', async () => {
    const joined = await people.join()
    expect(await again(joined.accessToken, {})).toMatchObject({
      status: 403,
      body: { error: { details: { reason: 'password_required' } } },
    })
    for (let i = 0; i < 5; i++) expect((await again(joined.accessToken, { password: `guess number ${i}` })).status).toBe(403)
    expect((await again(joined.accessToken, { password })).status).toBe(429)
    expect((await refresh(joined.refreshToken)).status).toBe(200)
  })

  test('is a new sign-in for who has only the mailbox: a moment ago does not make itself younger', async () => {
    const joined = await people.join()
    await world.sql('update accounts.users set password_hash = null where user_id = $1', [joined.userId])
    expect(await again(joined.accessToken, {})).toMatchObject({
      status: 403,
      body: { error: { details: { reason: 'sign_in_again' } } },
    })
  })

  test('is needed before other sessions are ended, unless one has just signed in; this one ends without', async () => {
    const joined = await people.join()
    const other = (await people.signIn(joined.email)).body
    const old = await stale(joined)
    const needed = { status: 403, body: { error: { details: { reason: 'reauthentication_required' } } } }
    expect(await people.as(old, 'POST', '/v1/me/sessions/revoke-others')).toMatchObject(needed)
    expect(await people.as(old, 'DELETE', `/v1/me/sessions/${other.sessionId}`)).toMatchObject(needed)
    expect((await refresh(other.refreshToken)).status).toBe(200)

    const { body: proved } = await again(old, { password })
    expect((await people.as(proved.accessToken, 'DELETE', `/v1/me/sessions/${other.sessionId}`)).status).toBe(200)
    expect((await people.as(proved.accessToken, 'POST', '/v1/me/sessions/revoke-others')).status).toBe(200)
    const own = await stale({ userId: joined.userId, sessionId: proved.sessionId })
    expect((await people.as(own, 'DELETE', `/v1/me/sessions/${proved.sessionId}`)).body).toEqual({ sessionsEnded: 1 })
  })
})

describe('the operator', () => {
  const patch = (userId: string, body: unknown) => world.call('PATCH', `/v1/operator/people/${userId}`, { body })

  test('suspends a person, who is out everywhere within seconds and gets in by no way', async () => {
    const [joined, other] = [await people.join(), await people.join()]
    const { requestToken, token } = await people.askLink(joined.email)
    const suspend = { status: 'suspended', reason: 'left the company' }
    expect(await patch(joined.userId, suspend)).toMatchObject({ status: 200, body: { status: 'suspended', sessionsEnded: 1 } })
    expect((await patch(joined.userId, suspend)).body.sessionsEnded).toBe(0)
    await vi.waitUntil(async () => (await me(joined.accessToken)) === 401, { timeout: 5_000 })
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    expect((await people.signIn(joined.email)).status).toBe(401)
    expect((await people.post('/v1/auth/magic-link/redeem', { requestToken, token })).status).toBe(410)
    expect(await me(other.accessToken)).toBe(200)
    expect((await patch(joined.userId, { status: 'active', reason: 'came back' })).status).toBe(200)
    expect((await people.signIn(joined.email)).status).toBe(200)
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    const told = (await world.events('accounts', 'audit.change_recorded')).map(({ data }) => data as Record<string, unknown>)
    expect(told.filter(({ resourceId, reason }) => resourceId === joined.userId && reason !== null)).toMatchObject([
      { actor: { kind: 'operator' }, before: { status: 'active' }, after: { status: 'suspended' }, reason: 'left the company' },
      { before: { status: 'suspended' }, after: { status: 'active' }, reason: 'came back' },
    ])
  })

  test('ends the sessions of a person who stays active', async () => {
    const joined = await people.join()
    const body = { status: 'active', endSessions: true, reason: 'lost a telephone' }
    expect((await patch(joined.userId, body)).body).toMatchObject({ status: 'active', sessionsEnded: 1 })
    expect((await refresh(joined.refreshToken)).status).toBe(401)
    expect((await people.signIn(joined.email)).status).toBe(200)
  })

  test('is no owner: theirs is an organization, not people', async () => {
    const { accessToken, userId } = await people.join({ organizationName: 'Mine' })
    const body = { status: 'suspended', reason: 'mine' }
    expect((await people.as(accessToken, 'PATCH', `/v1/operator/people/${userId}`, body)).status).toBe(403)
  })
})

describe('switching', () => {
  test('gives an access token for another organization that one is a member of, and for no other', async () => {
    const joined = await people.join({ organizationName: 'First' })
    const made = await people.as(joined.accessToken, 'POST', '/v1/organizations', { name: 'Second' })
    expect(made.status).toBe(201)
    const second = made.body.organizationId
    const { status, body } = await people.as(joined.accessToken, 'POST', '/v1/auth/switch-organization', {
      organizationId: second,
    })
    expect(status).toBe(200)
    expect(body).not.toHaveProperty('refreshToken')
    expect(decodeJwt(body.accessToken)).toMatchObject({ org: second, sid: joined.sessionId })
    // It stays there, also after a refresh and at the next sign-in.
    expect(decodeJwt((await refresh(joined.refreshToken)).body.accessToken)['org']).toBe(second)
    expect((await people.signIn(joined.email)).body.organizationId).toBe(second)
    expect((await people.signIn(joined.email, { organizationId: joined.organizationId })).body.organizationId).toBe(
      joined.organizationId,
    )

    const stranger = await people.join({ organizationName: 'Not yours' })
    const refused = await people.as(joined.accessToken, 'POST', '/v1/auth/switch-organization', {
      organizationId: stranger.organizationId,
    })
    expect(refused.status).toBe(404)
  })

  test('passes a closed organization by at sign-in, says which are closed, and refuses to go there', async () => {
    const joined = await people.join({ organizationName: 'Closing' })
    const { organizationId: closing, accessToken, email } = joined
    const made = await people.as(accessToken, 'POST', '/v1/organizations', { name: 'Going on' })
    const goingOn = made.body.organizationId
    await people.as(accessToken, 'POST', '/v1/auth/switch-organization', { organizationId: closing })
    const set = (status: string) =>
      world.call('PATCH', `/v1/operator/organizations/${closing}`, { body: { status, reason: 'test' } })
    expect((await set('inactive')).status).toBe(200)

    const signedIn = await people.signIn(email)
    expect(signedIn.body.organizationId).toBe(goingOn)
    expect(signedIn.body.organizations).toMatchObject([
      { organizationId: closing, status: 'active', closed: true },
      { organizationId: goingOn, status: 'active', closed: false },
    ])
    expect((await people.signIn(email, { organizationId: closing })).body.organizationId).toBe(goingOn)
    const refused = await people.as(signedIn.body.accessToken, 'POST', '/v1/auth/switch-organization', {
      organizationId: closing,
    })
    expect(refused).toMatchObject({ status: 403, body: { error: { details: { reason: 'organization_closed' } } } })

    expect((await set('active')).status).toBe(200)
    expect((await people.signIn(email, { organizationId: closing })).body.organizationId).toBe(closing)
  })
})

describe('a person', () => {
  test('reads and changes their profile, and no other field', async () => {
    const { accessToken, email } = await people.join()
    const change = { firstName: 'Zoé', phone: '+33 6 12 34 56 78', timezone: 'Europe/Paris', locale: 'fr-FR' }
    const { status, body } = await people.as(accessToken, 'PATCH', '/v1/me', change)
    expect(status).toBe(200)
    expect(body).toMatchObject({ email, firstName: 'Zoé', timezone: 'Europe/Paris', locale: 'fr-FR', twoFactorEnabled: false })
    expect((await people.as(accessToken, 'PATCH', '/v1/me', { firstName: null })).body.firstName).toBeNull()
    for (const more of [
      { email: 'other@example.org' },
      { signInCount: 0 },
      { status: 'active' },
      { timezone: 'Mars/Olympus' },
      { avatarUrl: 'javascript:1' },
    ])
      expect((await people.as(accessToken, 'PATCH', '/v1/me', more)).status, JSON.stringify(more)).toBe(400)
    expect((await people.as(accessToken, 'GET', '/v1/me')).body).toMatchObject({ email, signInCount: 1 })
  })

  test('is not a key: an operator’s key has no profile', async () => {
    expect((await world.call('GET', '/v1/me')).status).toBe(403)
  })

  test('changes the password with the old one; the other sessions end', async () => {
    const joined = await people.join()
    const other = await people.signIn(joined.email)
    const newPassword = 'a wholly different tide'
    const wrong = { currentPassword: 'not the password', newPassword }
    expect((await people.as(joined.accessToken, 'POST', '/v1/me/password', wrong)).status).toBe(403)
    expect((await people.as(joined.accessToken, 'POST', '/v1/me/password', { newPassword })).status).toBe(403)
    const { status, body } = await people.as(joined.accessToken, 'POST', '/v1/me/password', {
      currentPassword: password,
      newPassword,
    })
    expect([status, body]).toEqual([200, { sessionsEnded: 1 }])
    expect((await refresh(other.body.refreshToken)).status).toBe(401)
    expect((await refresh(joined.refreshToken)).status).toBe(200)
    expect((await people.signIn(joined.email)).status).toBe(401)
    expect((await people.signIn(joined.email, { password: newPassword })).status).toBe(200)
  })

  test('takes no password with a word of their organization', async () => {
    const { accessToken } = await people.join({ organizationName: 'Brouillard' })
    const change = { currentPassword: password, newPassword: 'soleil et brouillard' }
    expect(await people.as(accessToken, 'POST', '/v1/me/password', change)).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('your organization') } },
    })
  })

  test('cannot be guessed from a stolen access token', async () => {
    const { accessToken } = await people.join()
    const guess = (i: number) =>
      people.as(accessToken, 'POST', '/v1/me/password', {
        currentPassword: `guess number ${i}`,
        newPassword: 'a wholly different tide',
      })
    for (let i = 0; i < 5; i++) expect((await guess(i)).status).toBe(403)
    expect((await guess(6)).status).toBe(429)
  })

  test.each([
    ['the password is changed', '/v1/me/password', { currentPassword: password, newPassword: 'another calm harbour at noon' }],
    ['other sessions are ended', '/v1/me/sessions/revoke-others', {}],
  ])('does not change the address that was asked for before %s', async (_what, path, body) => {
    const { accessToken } = await people.join()
    const fresh = newEmail()
    expect((await people.as(accessToken, 'POST', '/v1/me/email', { email: fresh, password })).status).toBe(202)
    const token = await people.tokenTo(fresh, 'email_change')
    expect((await people.as(accessToken, 'POST', path, body)).status).toBe(200)
    expect((await people.post('/v1/auth/confirm-email', { token })).status).toBe(410)
  })

  test('changes the e-mail address when the new one answers, and the old one hears of it', async () => {
    const { accessToken, email } = await people.join()
    const fresh = newEmail()
    expect((await people.as(accessToken, 'POST', '/v1/me/email', { email: fresh })).status).toBe(403)
    expect((await people.as(accessToken, 'POST', '/v1/me/email', { email: fresh, password })).status).toBe(202)
    expect((await people.signIn(fresh)).status).toBe(401)
    const token = await people.tokenTo(fresh, 'email_change')
    expect(await people.post('/v1/auth/confirm-email', { token })).toMatchObject({ status: 200, body: { email: fresh } })
    expect((await people.post('/v1/auth/confirm-email', { token })).status).toBe(410)
    expect((await people.signIn(fresh)).status).toBe(200)
    expect((await people.signIn(email)).status).toBe(401)
    expect(await people.mailTo(email, 'email_changed')).toBeDefined()
  })

  test('cannot take the address of somebody else, nor learn that it is taken', async () => {
    const [mine, theirs] = [await people.join(), await people.join()]
    const asked = await people.as(mine.accessToken, 'POST', '/v1/me/email', { email: theirs.email, password })
    expect(asked.status).toBe(202)
    expect((await people.mailsTo(theirs.email)).map(({ kind }) => kind)).toEqual(['sign_up'])
  })
})

describe('signing keys', () => {
  test('are one, however many replicas start at once, and a second start makes no other', async () => {
    await world.sql('delete from accounts.signing_keys')
    const replicas = await Promise.all([1, 2, 3].map(() => world.startReplica()))
    expect(await world.sql('select kid from accounts.signing_keys')).toHaveLength(1)
    for (const replica of replicas) await replica.stop()

    // Replicas of one process seldom meet exactly here; so do these.
    const { database, app } = world.running.services[0] as unknown as { database: ServiceDatabase<DB>; app: App }
    await world.sql('delete from accounts.signing_keys')
    const keep = () =>
      database.commit({ organizationId: installationId }, (tx, tools) => keepSigningKeys(tx, tools, app.keys, new Date()))
    await Promise.all(Array.from({ length: 5 }, keep))
    expect(await world.sql('select kid from accounts.signing_keys')).toHaveLength(1)
    await world.restart()
    expect(await world.sql('select kid from accounts.signing_keys')).toHaveLength(1)
  })

  test('rotate: the next is published before it signs, and the old one is trusted until its last token is over', async () => {
    const before = await people.join()
    const run = () =>
      world.sql(
        `update accounts_jobs.job_common set start_after = now() where name = 'rotate-signing-keys' and state = 'created'`,
      )
    const kids = async () => {
      const { body } = await world.call('GET', '/.well-known/jwks.json', { key: null })
      return (body.keys as { kid: string }[]).map(({ kid }) => kid)
    }
    const [old] = await kids()
    await world.sql(`update accounts.signing_keys set active_from = active_from - interval '29 days 1 hour'`)
    await world.restart()
    await vi.waitUntil(async () => (await kids()).length === 2, { timeout: 10_000 })
    const next = (await kids())[1] as string
    expect(decodeProtectedHeader((await people.signIn(before.email)).body.accessToken).kid).toBe(old)

    await world.sql(`update accounts.signing_keys set active_from = now() - interval '1 second' where kid = $1`, [next])
    await run()
    await world.restart()
    await world.settle()
    const rows = await world.sql<{ kid: string; left: number; sealed_private: string | null }>(
      `select kid, extract(epoch from trusted_until - now())::float as left, sealed_private from accounts.signing_keys order by active_from`,
    )
    expect(rows.map(({ kid }) => kid)).toEqual([old, next])
    expect(rows[0]?.left).toBeGreaterThan(600)
    expect(rows[0]?.left).toBeLessThanOrEqual(720)
    expect(rows[0]?.sealed_private).toBeNull()
    const after = await people.signIn(before.email)
    expect(decodeProtectedHeader(after.body.accessToken).kid).toBe(next)
    // Both open.
    expect(await me(before.accessToken)).toBe(200)
    expect(await me(after.body.accessToken)).toBe(200)
    const stated = (await world.events('accounts', 'signing_key.changed')).map(
      ({ data }) => data as { kid: string; trustedUntil: string | null },
    )
    expect(stated.filter(({ kid }) => kid === next).length).toBeGreaterThan(0)
    expect(stated.find(({ kid, trustedUntil }) => kid === old && trustedUntil !== null)).toBeDefined()
  })
})
