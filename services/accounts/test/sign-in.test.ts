import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
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

describe('signing up', () => {
  test('opens an account and an organization when the link is followed, not before', async () => {
    const email = newEmail()
    const asked = await people.post('/v1/auth/sign-up', {
      email,
      password,
      name: 'Zoé',
      organizationName: 'Fleurs',
      locale: 'fr-FR',
    })
    expect(asked).toMatchObject({ status: 202 })
    expect((await people.signIn(email)).status).toBe(401)
    expect(await world.sql('select 1 from accounts.users where email = $1', [email])).toEqual([])

    expect(await people.mailTo(email)).toMatchObject({ kind: 'sign_up', subject: 'Confirmez votre adresse e-mail' })
    const token = await people.tokenTo(email, 'sign_up')
    const { status, body } = await people.post('/v1/auth/verify-email', { token, password })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      tokenType: 'Bearer',
      expiresIn: 600,
      user: { email, emailVerified: true, displayName: 'Zoé', locale: 'fr-FR', signInCount: 1, hasPassword: true },
      organizations: [{ name: 'Fleurs', role: 'owner', status: 'active' }],
    })
    expect(body.organizationId).toBe(body.organizations[0].organizationId)
    // Once only.
    expect(await people.post('/v1/auth/verify-email', { token, password })).toMatchObject({
      status: 410,
      body: { error: { code: 'gone' } },
    })
    expect((await people.signIn(email)).status).toBe(200)
  })

  test('says the same of a known address, and tells its owner', async () => {
    const { email } = await people.join()
    const again = await people.post('/v1/auth/sign-up', { email, password: 'quite another phrase' })
    const unknown = await people.post('/v1/auth/sign-up', { email: newEmail(), password: 'quite another phrase' })
    expect([again.status, again.body]).toEqual([unknown.status, unknown.body])
    expect((await people.mailTo(email, 'already_here')).text).toContain('https://console.example/sign-in')
    // And nothing changed.
    expect((await people.signIn(email)).status).toBe(200)
    expect((await people.signIn(email, { password: 'quite another phrase' })).status).toBe(401)
  })

  test('that a stranger asked for gives them nothing when its link is followed by who was sent it', async () => {
    const email = newEmail()
    await people.post('/v1/auth/sign-up', { email, password: 'a phrase of a stranger' })
    const token = await people.tokenTo(email, 'sign_up')
    expect(await people.post('/v1/auth/verify-email', { token, password })).toMatchObject({ status: 403 })
    expect((await people.post('/v1/auth/verify-email', { token })).status).toBe(400)
    expect(await world.sql('select 1 from accounts.users where email = $1', [email])).toEqual([])
    expect((await people.signIn(email, { password: 'a phrase of a stranger' })).status).toBe(401)
  })

  test('of two sign-ups for one address the link that is followed first decides, and the other opens nothing', async () => {
    const email = newEmail()
    await people.post('/v1/auth/sign-up', { email, password: 'the first of phrases' })
    const first = await people.tokenTo(email, 'sign_up')
    await people.post('/v1/auth/sign-up', { email, password: 'the second of phrases' })
    const second = await people.tokenTo(email, 'sign_up')
    const follow = (token: string, chosen: string) => people.post('/v1/auth/verify-email', { token, password: chosen })
    expect((await follow(second, 'the second of phrases')).status).toBe(200)
    expect((await follow(first, 'the first of phrases')).status).toBe(409)
    expect((await people.signIn(email, { password: 'the first of phrases' })).status).toBe(401)
    expect((await people.signIn(email, { password: 'the second of phrases' })).status).toBe(200)
  })

  test.each([
    ['a common password', { password: 'azertyuiop' }, 'tried first'],
    [
      'a password of the organization’s name',
      { password: 'petales-et-tiges', organizationName: 'Pétales & Tiges' },
      'organization',
    ],
    ['a short one', { password: 'seven77' }, 'at least 8'],
    ['an unknown field', { role: 'owner' }, 'role'],
    ['no address', { email: 'nobody' }, 'email'],
    ['an organization of two lines', { organizationName: 'a\r\nBcc: x@example.org' }, 'organizationName'],
  ])('with %s is refused by name', async (_what, more, words) => {
    const { status, body } = await people.post('/v1/auth/sign-up', { email: newEmail(), password, ...more })
    expect(status).toBe(400)
    expect(JSON.stringify(body)).toContain(words)
  })
})

describe('signing in', () => {
  test('answers a wrong password and an unknown address alike', async () => {
    const { email } = await people.join()
    const known = await people.signIn(email, { password: 'not the password' })
    const unknown = await people.signIn(newEmail(), { password: 'not the password' })
    expect(known.status).toBe(401)
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body])
    const names = (headers: Headers) => [...headers.keys()].toSorted()
    expect(names(known.headers)).toEqual(names(unknown.headers))
  })

  test('takes as long for an unknown address as for a wrong password (A64)', async () => {
    const { email } = await people.join()
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    for (let i = 0; i < 24; i++) {
      const kinds = [['known', email] as const, ['unknown', newEmail()] as const]
      for (const [kind, address] of i % 2 === 0 ? kinds : kinds.toReversed()) {
        // Its owner's counter would slow the known one down: it is the password check that is measured.
        await world.sql('delete from accounts.sign_in_attempts')
        const started = performance.now()
        expect((await people.signIn(address, { password: 'not the password' })).status).toBe(401)
        times[kind].push(performance.now() - started)
      }
    }
    const median = (values: number[]) => values.toSorted((a, b) => a - b)[12] as number
    const ratio = median(times.unknown) / median(times.known)
    expect(ratio).toBeGreaterThan(0.75)
    expect(ratio).toBeLessThan(1.33)
  })

  test('is slowed down for a guesser and not for the owner: a known device and a link still open', async () => {
    const { email, deviceToken } = await people.join()
    for (let i = 0; i < 5; i++) expect((await people.signIn(email, { password: `guess number ${i}` })).status).toBe(401)
    const slowed = await people.signIn(email, { password: 'guess number 6' })
    expect(slowed).toMatchObject({ status: 429, body: { error: { details: { retryAfterMs: expect.any(Number) } } } })
    // From anywhere, and with the right password too: otherwise the answer would tell that it is right.
    expect((await people.signIn(email)).status).toBe(429)

    expect((await people.signIn(email, { deviceToken })).status).toBe(200)
    const { requestToken, token } = await people.askLink(email)
    expect((await people.post('/v1/auth/magic-link/redeem', { requestToken, token })).status).toBe(200)
    // A device token of somebody else, or an invented one, is no way around.
    const stranger = await people.join()
    expect((await people.signIn(email, { deviceToken: stranger.deviceToken })).status).toBe(429)
    expect((await people.signIn(email, { deviceToken: 'x'.repeat(43) })).status).toBe(429)
  })

  test('a known device has no endless tries either', async () => {
    const { email, deviceToken } = await people.join()
    for (let i = 0; i < 5; i++) {
      expect((await people.signIn(email, { deviceToken, password: `guess number ${i}` })).status).toBe(401)
    }
    expect((await people.signIn(email, { deviceToken })).status).toBe(429)
    // Elsewhere nothing was tried.
    expect((await people.signIn(email)).status).toBe(200)
  })

  test('a hundred guesses at once are a hundred', async () => {
    const { email } = await people.join()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => people.signIn(email, { password: `guess number ${i}` })),
    )
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(15)
  })

  test('one address that tries many accounts is slowed down, and signing in as oneself does not begin anew', async () => {
    const ip = '203.0.113.77'
    const { email } = await people.join()
    await world.sql('delete from accounts.sign_in_attempts')
    for (let i = 0; i < 49; i++) expect((await people.signIn(newEmail(), {}, { ip })).status).toBe(401)
    expect((await people.signIn(email, {}, { ip })).status).toBe(200)
    await people.signIn(newEmail(), {}, { ip })
    expect((await people.signIn(newEmail(), {}, { ip })).status).toBe(429)
    expect((await people.signIn(email, {}, { ip: '203.0.113.78' })).status).toBe(200)
  })

  test('whoever must choose a new password does so on the way in', async () => {
    const { email } = await people.join()
    await world.sql('update accounts.users set require_password_change = true where email = $1', [email])
    expect(await people.signIn(email)).toMatchObject({
      status: 403,
      body: { error: { details: { reason: 'password_change_required' } } },
    })
    expect((await people.signIn(email, { newPassword: password })).status).toBe(400)
    expect((await people.signIn(email, { newPassword: 'a new and quiet bay' })).status).toBe(200)
    expect((await people.signIn(email, { password: 'a new and quiet bay' })).body.user.requirePasswordChange).toBe(false)
    expect((await people.signIn(email)).status).toBe(401)
  })

  test('leaves nothing secret behind: no password, token or code in the tables', async () => {
    const joined = await people.join()
    const { requestToken, token, mailCode } = await people.askLink(joined.email)
    const tables = await world.sql<{ name: string }>(
      `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables
       where table_schema in ('accounts', 'accounts_jobs') and table_type = 'BASE TABLE'`,
    )
    for (const { name } of tables) {
      const found = await world.sql<{ row: string }>(`select t::text as row from ${name} t`)
      for (const { row } of found)
        for (const secret of [
          password,
          requestToken,
          token,
          mailCode,
          joined.refreshToken,
          joined.deviceToken,
          joined.accessToken,
        ])
          expect(row.includes(secret), name).toBe(false)
    }
  })

  test('is written down: who, from where, and that it failed', async () => {
    const { email, userId } = await people.join()
    await people.signIn(email, { password: 'not the password' }, { ip: '203.0.113.5' })
    await people.signIn(email, {}, { ip: '203.0.113.6' })
    const entries = (await world.events('accounts', 'audit.change_recorded')).map(({ data }) => data as Record<string, unknown>)
    expect(entries).toContainEqual(
      expect.objectContaining({ resourceType: 'sign_in', ip: '203.0.113.5', after: { outcome: 'wrong_password' } }),
    )
    expect(entries).toContainEqual(
      expect.objectContaining({ resourceType: 'session', ip: '203.0.113.6', actor: { kind: 'member', id: userId } }),
    )
    expect(JSON.stringify(entries)).not.toContain(email)
  })
})

describe('a link by mail', () => {
  const redeem = (body: Record<string, unknown>) => people.post('/v1/auth/magic-link/redeem', body)

  test('signs in once', async () => {
    const { email } = await people.join()
    const { requestToken, token } = await people.askLink(email)
    const both = await Promise.all([1, 2].map(() => redeem({ requestToken, token })))
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 410])
  })

  test('is good for its own purpose only, and for ten minutes', async () => {
    const { email } = await people.join()
    const { requestToken, token } = await people.askLink(email)
    const body = { token, newPassword: 'another quiet phrase' }
    expect((await people.post('/v1/auth/password-reset/redeem', body)).status).toBe(410)
    await people.post('/v1/auth/password-reset', { email })
    await world.settle()
    const lives = await world.sql(
      `select purpose, extract(epoch from expires_at - created_at)::int / 60 as minutes from accounts.one_time_tokens
       where email = $1 and purpose <> 'sign_up' order by purpose`,
      [email],
    )
    expect(lives).toEqual([
      { purpose: 'magic_link', minutes: 10 },
      { purpose: 'password_reset', minutes: 10 },
    ])
    await world.sql(`update accounts.one_time_tokens set expires_at = now() - interval '1 second' where purpose = 'magic_link'`)
    expect((await redeem({ requestToken, token })).status).toBe(410)
  })

  test('opens only where it was asked for: with the secret of that request, and no other of the same person', async () => {
    const { email } = await people.join()
    const first = await people.askLink(email)
    const second = await people.askLink(email)
    expect((await redeem({ token: second.token })).status).toBe(400)
    for (const requestToken of [first.requestToken, 'A'.repeat(43)]) {
      expect((await redeem({ requestToken, token: second.token })).status).toBe(410)
      expect((await redeem({ requestToken, mailCode: second.mailCode })).status).toBe(410)
    }
    // Nothing of that used it up.
    expect((await redeem({ requestToken: second.requestToken, token: second.token })).status).toBe(200)
    expect((await redeem({ requestToken: first.requestToken, token: first.token })).status).toBe(410)
  })

  test('that is read on another device opens where it was asked for, by the code of its mail, once', async () => {
    const { email } = await people.join()
    const { requestToken, mailCode, token } = await people.askLink(email)
    const written = mailCode.toUpperCase().replace('-', ' ')
    expect((await redeem({ requestToken, mailCode: written, token })).status).toBe(400)
    expect(await redeem({ requestToken, mailCode: written })).toMatchObject({ status: 200, body: { user: { email } } })
    expect((await redeem({ requestToken, mailCode })).status).toBe(410)
    expect((await redeem({ requestToken, token })).status).toBe(410)
  })

  test('has a code that nobody guesses: tries are counted, and as for an address that nobody has', async () => {
    const { email } = await people.join()
    const [known, unknown] = [await people.askLink(email), await people.post('/v1/auth/magic-link', { email: newEmail() })]
    const guesses = async (requestToken: string) => {
      const answers: unknown[] = []
      for (let i = 0; i < 7; i++) {
        const { status, body } = await redeem({ requestToken, mailCode: `0000-000${i}` })
        answers.push([status, body.error.code, status === 410 && body])
      }
      return answers
    }
    const [ofKnown, ofUnknown] = [await guesses(known.requestToken), await guesses(unknown.body.requestToken)]
    expect(ofKnown).toEqual(ofUnknown)
    expect(ofKnown.filter((answer) => Array.isArray(answer) && answer[0] === 429)).toHaveLength(2)
    // The right one waits too, and the link itself does not: it cannot be guessed.
    expect((await redeem({ requestToken: known.requestToken, mailCode: known.mailCode })).status).toBe(429)
    expect((await redeem({ requestToken: known.requestToken, token: known.token })).status).toBe(200)
  })

  test.each(['/v1/auth/magic-link', '/v1/auth/password-reset'])(
    '%s says the same of every address, and mails only who is here',
    async (path) => {
      const { email } = await people.join()
      const stranger = newEmail()
      const [known, unknown] = [await people.post(path, { email }), await people.post(path, { email: stranger })]
      expect(known.status).toBe(202)
      const { requestToken: secret, ...told } = known.body
      expect([known.status, told]).toEqual([unknown.status, { message: unknown.body.message }])
      expect(secret?.length).toBe(unknown.body.requestToken?.length)
      expect(await people.mailsTo(stranger)).toEqual([])
      expect((await people.mailsTo(email)).length).toBe(2)
    },
  )

  test('is not sent again and again, whoever asks, and the answer does not change', async () => {
    const { email } = await people.join()
    const answers = await Promise.all(Array.from({ length: 6 }, () => people.post('/v1/auth/magic-link', { email })))
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(202))
    expect((await people.mailsTo(email)).filter(({ kind }) => kind === 'magic_link')).toHaveLength(2)
  })
})

describe('a forgotten password', () => {
  test('is replaced by link, once, and every session, device and other link ends', async () => {
    const { email, refreshToken, deviceToken } = await people.join()
    const { requestToken, token: link } = await people.askLink(email)
    await people.post('/v1/auth/password-reset', { email })
    const token = await people.tokenTo(email, 'password_reset')

    expect((await people.post('/v1/auth/password-reset/redeem', { token, newPassword: 'password1' })).status).toBe(400)
    const newPassword = 'a later and calmer sea'
    const reset = await people.post('/v1/auth/password-reset/redeem', { token, newPassword })
    expect(reset).toMatchObject({ status: 200, body: { sessionsEnded: 1 } })
    expect((await people.post('/v1/auth/password-reset/redeem', { token, newPassword })).status).toBe(410)

    expect((await people.post('/v1/auth/refresh', { refreshToken })).status).toBe(401)
    expect((await people.post('/v1/auth/magic-link/redeem', { requestToken, token: link })).status).toBe(410)
    expect((await people.signIn(email)).status).toBe(401)
    expect((await people.signIn(email, { password: newPassword })).status).toBe(200)
    expect(await world.sql('select 1 from accounts.known_devices d where token_hash = sha256($1::bytea)', [deviceToken])).toEqual(
      [],
    )
    expect((await people.mailTo(email, 'password_changed')).text).toContain('/reset-password')
    const revoked = await world.events('accounts', 'session.revoked')
    expect(revoked.length).toBeGreaterThan(0)
  })

  test('lets the owner in past a stranger who guesses and asks for mail all the time', async () => {
    const { email } = await people.join()
    for (let i = 0; i < 5; i++) await people.signIn(email, { password: `guess number ${i}` })
    for (let i = 0; i < 4; i++) await people.post('/v1/auth/password-reset', { email })
    // The owner's own wish is one too many by now, but the stranger's mail is as good: it opens nothing for who asked.
    await people.post('/v1/auth/password-reset', { email })
    const newPassword = 'a third and windless cove'
    const token = await people.tokenTo(email, 'password_reset')
    const { body } = await people.post('/v1/auth/password-reset/redeem', { token, newPassword })
    expect((await people.signIn(email, { password: newPassword })).status).toBe(429)
    expect((await people.signIn(email, { password: newPassword, deviceToken: body.deviceToken })).status).toBe(200)
  })
})

test('the mailbox opens for an operator only', async () => {
  expect((await world.call('GET', '/v1/dev/mail', { key: null })).status).toBe(401)
  expect((await world.call('GET', '/v1/dev/mail')).status).toBe(200)
  // An owner may everything in their organization, and this is everybody's mail.
  const { accessToken } = await people.join({ organizationName: 'Curious' })
  expect((await people.as(accessToken, 'GET', '/v1/dev/mail')).status).toBe(403)
})
