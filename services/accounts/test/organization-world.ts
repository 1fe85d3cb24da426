import type { Permission, Role } from '@parley/contracts'
import { type Answer, startWorld, type World } from '@parley/runtime/testing'
import { randomInt, randomUUIDv7 } from 'node:crypto'
import type { App } from '../src/app.ts'
import { listMails, openMailText } from '../src/db/mails.ts'
import { accounts } from '../src/service.ts'

/** Somebody with an access token, as if they had signed in. */
export interface Person {
  userId: string
  email: string
  token: string
  call(method: string, path: string, body?: unknown): Promise<Answer>
}

/** A world with accounts alone, where each call comes from an address of its own: the door counts public ones by address. */
export async function startOrganizationWorld(urls: { postgresUrl: string; natsUrl: string }, more: Record<string, string> = {}) {
  const world = await startWorld({
    services: [accounts],
    ...urls,
    environment: { TRUST_PROXY: '127.0.0.1/32', ACCOUNTS_DEV_MAIL: 'true', ...more },
  })
  return { world, ...openPeople(world) }
}
export type OrganizationWorld = Awaited<ReturnType<typeof startOrganizationWorld>>

const anyAddress = () => ({ 'x-forwarded-for': `198.51.${randomInt(256)}.${randomInt(1, 255)}` })

/** People of a world: made in the database, their tokens signed by accounts itself. */
function openPeople(world: World) {
  const app = () => world.running.services.find((service) => service.name === 'accounts')?.app as App
  /** A call with a key, a token or nothing. */
  const call = (key: string | null | undefined, method: string, path: string, body?: unknown) =>
    world.call(method, path, {
      headers: anyAddress(),
      ...(key === undefined ? {} : { key }),
      ...(body === undefined ? {} : { body }),
    })

  async function person(name: string, options: { email?: string; verified?: boolean } = {}) {
    const userId = randomUUIDv7()
    const email = options.email ?? `${name}-${userId.slice(-6)}@example.com`
    await world.sql(`insert into accounts.users (user_id, email, display_name, email_verified_at) values ($1, $2, $3, $4)`, [
      userId,
      email,
      name,
      options.verified === false ? null : new Date(),
    ])
    return { userId, email }
  }

  /** A person acting in an organization, or in none. */
  async function actingIn(
    { userId, email }: { userId: string; email: string },
    organizationId: string | null,
    authenticatedAt = new Date(),
  ): Promise<Person> {
    const claims = { userId, sessionId: randomUUIDv7(), organizationId, authenticatedAt, secondFactor: false }
    const { accessToken } = await app().accessTokens.sign(claims)
    return { userId, email, token: accessToken, call: (method, path, body) => call(accessToken, method, path, body) }
  }

  /** An organization with its owner, made through the operator's route. */
  async function organization(name = 'Maison Zoé', more: Record<string, unknown> = {}) {
    const founder = await person('owner')
    const organizationId = randomUUIDv7()
    const body = { organizationId, name, ownerEmail: founder.email, ...more }
    const made = await call(undefined, 'POST', '/v1/operator/organizations', body)
    if (made.status !== 200) throw new Error(`No organization: ${made.status} ${JSON.stringify(made.body)}`)
    return { organizationId, owner: await actingIn(founder, organizationId) }
  }

  /** A new member, put there without an invitation. */
  async function member(organizationId: string, role: Role, permissions: Permission[] = []): Promise<Person> {
    const fresh = await person(role)
    await world.sql(`insert into accounts.members (organization_id, user_id, role, permissions) values ($1, $2, $3, $4)`, [
      organizationId,
      fresh.userId,
      role,
      permissions,
    ])
    await world.sql(`insert into accounts.user_organizations (user_id, member_of) values ($1, $2)`, [
      fresh.userId,
      organizationId,
    ])
    return actingIn(fresh, organizationId)
  }

  /** Mail to an address, latest first, opened. */
  async function mailTo(email: string): Promise<{ subject: string; text: string }[]> {
    const { database, keys } = app()
    return database.transaction(null, async ({ tx }) => {
      const mails = await listMails(tx, { to: email, limit: 50 })
      return mails.map((mail) => ({ subject: mail.subject, text: openMailText(keys, mail) ?? '' }))
    })
  }

  return { call, person, actingIn, organization, member, mailTo }
}
