import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { changeKey, dropPreviousKey } from './installation-key.ts'
import { newEmail, openPeople, password, type People, startPeople } from './sign-ups.ts'
import { type SmtpServer, startSmtpServer } from './smtp-server.ts'

const urls = { postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') }
const stateOf = async (world: World, email: string) =>
  (
    await world.sql<{ state: string; sealed_text: string | null; error: string | null }>(
      'select state, sealed_text, error from accounts.mails where recipient = $1',
      [email],
    )
  )[0]

describe('with a mail server', () => {
  let server: SmtpServer
  let world: World
  let people: People
  beforeAll(async () => {
    server = await startSmtpServer()
    world = await startPeople(urls, {
      ACCOUNTS_DEV_MAIL: 'false',
      ACCOUNTS_SMTP_URL: server.url,
      ACCOUNTS_MAIL_FROM: 'Parley <hello@parley.example>',
    })
    people = openPeople(world)
  })
  beforeEach(() => {
    server.taken.length = 0
    server.answers.length = 0
  })
  afterAll(async () => {
    await world?.stop()
    await server?.close()
  })

  const ask = async (email: string) => {
    expect((await people.post('/v1/auth/sign-up', { email, password, locale: 'fr' })).status).toBe(202)
  }
  /** Until the server has said what it was told to. */
  const answered = () => vi.waitUntil(() => server.answers.length === 0, { timeout: 10_000 })
  /** The next try now, not in seconds. */
  const tryAgain = () =>
    vi.waitUntil(
      async () =>
        (
          await world.sql(
            `update accounts_jobs.job_common set start_after = now() where name = 'send-mail' and state = 'retry' returning 1`,
          )
        ).length > 0,
      { timeout: 10_000 },
    )

  test('mail goes out with sender, subject and link, and its text is wiped', async () => {
    const email = newEmail()
    await ask(email)
    await world.settle()
    expect(server.taken).toHaveLength(1)
    const [{ to, data } = { to: '', data: '' }] = server.taken
    expect(to).toBe(email)
    expect(data).toMatch(/^From: Parley <hello@parley.example>$/m)
    expect(data).toMatch(/^Message-ID: <[0-9a-f-]{36}@parley.example>\r?$/m)
    expect(data).toContain('https://console.example/verify-email#token=3D')
    expect(await stateOf(world, email)).toEqual({ state: 'sent', sealed_text: null, error: null })
    expect((await world.call('GET', '/v1/dev/mail')).status).toBe(404)
  })

  test('a server that is busy is asked again', async () => {
    const email = newEmail()
    server.answers.push('451 try later')
    await ask(email)
    await answered()
    expect(await stateOf(world, email)).toMatchObject({ state: 'waiting' })
    await tryAgain()
    await world.settle()
    expect(await stateOf(world, email)).toEqual({ state: 'sent', sealed_text: null, error: null })
    expect(server.taken).toHaveLength(1)
  })

  test('an address that is refused for good is not tried again, and the reason does not name it', async () => {
    const email = newEmail()
    server.answers.push(`550 no such user ${email}`)
    await ask(email)
    await world.settle()
    const settled = await stateOf(world, email)
    expect(settled).toMatchObject({ state: 'refused', sealed_text: null })
    expect(settled?.error).toContain('550')
    expect(settled?.error).not.toContain(email)
    const dead = await world.sql('select error from accounts.dead_letters')
    expect(JSON.stringify(dead)).not.toContain(email)
  })

  test('mail whose links are no good any more stays here', async () => {
    const email = newEmail()
    server.answers.push('451 try later')
    await ask(email)
    await answered()
    await world.sql('update accounts.mails set send_before = now() where recipient = $1', [email])
    await tryAgain()
    await world.settle()
    expect(await stateOf(world, email)).toMatchObject({ state: 'late', sealed_text: null })
    expect(server.taken).toHaveLength(0)
  })

  test('mail that waits through a change of the installation’s key goes out, also when the old one is gone', async () => {
    const email = newEmail()
    server.answers.push('451 try later')
    await ask(email)
    await answered()
    await vi.waitUntil(
      async () =>
        (
          await world.sql(
            `update accounts_jobs.job_common set start_after = now() + interval '1 hour' where name = 'send-mail' and state = 'retry' returning 1`,
          )
        ).length > 0,
      { timeout: 10_000 },
    )
    const sealed = (await stateOf(world, email))?.sealed_text
    await changeKey(world)
    await vi.waitUntil(async () => (await stateOf(world, email))?.sealed_text !== sealed, { timeout: 10_000 })
    await dropPreviousKey(world)
    await tryAgain()
    await world.settle()
    expect(await stateOf(world, email)).toEqual({ state: 'sent', sealed_text: null, error: null })
    expect(server.taken).toHaveLength(1)
  })
})

test('without a mail server mail is kept, its text cannot be read, and nobody may look', async () => {
  const world = await startPeople(urls, { ACCOUNTS_DEV_MAIL: 'false' })
  try {
    const email = newEmail()
    await openPeople(world).post('/v1/auth/sign-up', { email, password })
    await world.settle()
    expect(await stateOf(world, email)).toEqual({ state: 'kept', sealed_text: null, error: null })
    expect((await world.call('GET', '/v1/dev/mail')).status).toBe(404)
  } finally {
    await world.stop()
  }
})
