import { Permission, Role, rolePermissions } from '@parley/contracts'
import type { Route } from '@parley/runtime'
import { type Answer, startWorld, type World } from '@parley/runtime/testing'
import { randomBytes, randomInt, randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'
import { full, plant, readCatalogue } from './catalogue.ts'
import { sampleOf } from './sample-of.ts'

/**
 * Every route of every service, with every role, on another organization's ids: read off the route table and the permission table,
 * so that a new route is tested without anybody remembering it (reliability.md A24 to A27).
 */
type AnyRoute = Route<never, never>
interface Accounts {
  accessTokens: {
    sign(claims: {
      userId: string
      sessionId: string
      organizationId: string | null
      authenticatedAt: Date
      secondFactor: boolean
    }): Promise<{ accessToken: string }>
  }
}

let world: World
let routes: AnyRoute[]
/** Ids of rows of the other organization, by the service that has them. */
const theirs = new Map<string, string[]>()
const mine = randomUUIDv7()
let ourOwner: string

/** Routes for who runs the installation: a permission does not suffice, so an owner's role does not either. */
const operatorOnly = (route: AnyRoute) => route.path.startsWith('/v1/operator/') || route.path === '/v1/dev/mail'

/** Where a sample made from the schema cannot be right: what no schema says. */
const bodies: Record<string, unknown> = {
  'POST /v1/webhook-sources': { provider: 'whapi', accountId: 'CHANNEL', name: 'Door' },
  'PATCH /v1/me/preferences': { language: 'fr' },
  'PUT /v1/channels/:accountId': { token: 'a-token-of-ours' },
}

beforeAll(async () => {
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
      // Nobody answers there: no model is asked in this test.
      MODEL_SIMULATOR_URL: 'http://127.0.0.1:9/v1',
      ACCOUNTS_DEV_MAIL: 'true',
      TRUST_PROXY: '127.0.0.1/32',
      // Nothing of the planted rows is due while the test runs.
      POLL_MS: '60000',
    },
  })
  routes = world.running.routes as AnyRoute[]
  ourOwner = (await found(mine)).userId
  await found(world.otherOrganizationId)
  // What the founding set in motion is done: nothing writes beside us.
  await world.settle(30_000)
  await plantTheirs()
}, 120_000)
afterAll(async () => {
  await world?.stop()
})

/** A row of the other organization in every table that has one, and what identifies it. */
async function plantTheirs(): Promise<void> {
  // What a running relay or directory would act on, or the founding of the organization has filled already.
  const left = ['outbox', 'identity_members', 'identity_keys', 'identity_organizations', 'handled']
  for (const table of (await readCatalogue(world)).filter((entry) => entry.tenant && !left.includes(entry.name))) {
    const values: Record<string, string> = table.name === 'dead_letters' ? { state: `'dead'` } : {}
    const known = await world.sql(`select 1 from ${full(table)} where organization_id = $1`, [world.otherOrganizationId])
    if (known.length === 0) await plant(world, table, world.otherOrganizationId, values)
    const [key] = await world.sql<{ columns: string[] }>(
      `select array_agg(a.attname::text) as columns from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
       where i.indrelid = $1::regclass and i.indisprimary and a.attname <> 'organization_id' and a.atttypid in ('uuid'::regtype, 'text'::regtype)`,
      [full(table)],
    )
    for (const column of key?.columns ?? []) {
      const rows = await world.sql<{ id: string }>(
        `select ${column}::text as id from ${full(table)} where organization_id = $1 limit 3`,
        [world.otherOrganizationId],
      )
      theirs.set(table.schema, [...(theirs.get(table.schema) ?? []), ...rows.map((row) => row.id).filter(isId)])
    }
  }
}

const anyAddress = () => `198.51.${randomInt(256)}.${randomInt(1, 255)}`

/** An organization with its owner, as the operator makes one. */
async function found(organizationId: string): Promise<{ userId: string }> {
  const ownerEmail = `owner-${organizationId.slice(-6)}@example.com`
  const { status } = await world.call('POST', '/v1/operator/organizations', {
    body: { organizationId, name: `canary-${organizationId}`, ownerEmail },
  })
  expect(status).toBe(200)
  const [row] = await world.sql<{ id: string }>(
    `select user_id as id from accounts.members where organization_id = $1 and role = 'owner'`,
    [organizationId],
  )
  return { userId: row?.id as string }
}

/** Somebody new in our organization, so that what one call changes about its caller does not spoil the next. */
async function somebody(role: Role): Promise<string> {
  const userId = randomUUIDv7()
  await world.sql(`insert into accounts.users (user_id, email, display_name, email_verified_at) values ($1, $2, $3, now())`, [
    userId,
    `${role}-${userId}@example.com`,
    role,
  ])
  await world.sql(`insert into accounts.members (organization_id, user_id, role, permissions) values ($1, $2, $3, '{}')`, [
    mine,
    userId,
    role,
  ])
  await world.sql(`insert into accounts.user_organizations (user_id, member_of) values ($1, $2)`, [userId, mine])
  return userId
}

async function as(userId: string | null, route: AnyRoute, path: string, body?: unknown): Promise<Answer & { text: string }> {
  const headers: Record<string, string> = { 'x-forwarded-for': anyAddress() }
  const accounts = world.running.services.find((service) => service.name === 'accounts')?.app as Accounts
  const key =
    userId === null
      ? null
      : (
          await accounts.accessTokens.sign({
            userId,
            sessionId: randomUUIDv7(),
            organizationId: mine,
            authenticatedAt: new Date(),
            secondFactor: false,
          })
        ).accessToken
  const answer = await world.call(route.method, path, { key, headers, ...(body === undefined ? {} : { body }) })
  return { ...answer, text: JSON.stringify(answer.body) ?? '' }
}

const timeless = (text: string) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Not a word that stands in a key, such as a kind. */
const isId = (text: string) => isUuid.test(text) || text.startsWith('canary-')
const nameOf = (route: AnyRoute) => `${route.method} ${route.path}`
const serviceOf = (route: AnyRoute) =>
  allServices.find((service) => (service.routes as readonly AnyRoute[]).includes(route))?.name ??
  /^\/v1\/ops\/([^/]+)/.exec(route.path)?.[1]
const idsFor = (route: AnyRoute) => [...new Set(theirs.get((serviceOf(route) ?? '').replaceAll('-', '_')) ?? [])]
const pathWith = (route: AnyRoute, id: string) => route.path.replace(/:[A-Za-z]+/g, encodeURIComponent(id))
const bodyWith = (route: AnyRoute, id: string) =>
  route.body === undefined ? undefined : (bodies[nameOf(route)] ?? sampleOf(route.body, id))
const takesIds = (route: AnyRoute) =>
  route.path.includes(':') || JSON.stringify(bodyWith(route, 'ID-HERE') ?? null).includes('ID-HERE')
const mayCall = (role: Role, route: AnyRoute) =>
  route.scope === 'public' || route.scope === 'self' || rolePermissions[role].has(route.scope as Permission)

test('a parameter that a route does not know is refused, never ignored', async () => {
  const refused: string[] = []
  for (const route of routes.filter(({ method }) => method === 'GET')) {
    const path = route.path.replaceAll(/:\w+/g, randomUUIDv7())
    for (const query of ['customer_id=x&nobody_knows=1', 'nobody_knows=2026-13']) {
      const { status } = await world.call('GET', `${path}?${query}`)
      if (status < 400) refused.push(`${route.path}?${query} ${status}`)
    }
  }
  expect(refused).toEqual([])
})

describe('every route', () => {
  test('asks for an entry of the permission table, or says that it needs none', () => {
    expect(routes.length).toBeGreaterThan(60)
    const known = new Set<string>([...Permission.options, 'public', 'self'])
    expect(routes.filter((route) => !known.has(route.scope)).map(nameOf)).toEqual([])
    // Without a permission there is nothing to see but oneself, one's organizations, what is for sale, and the way in.
    const open = routes.filter((route) => route.scope === 'public' || route.scope === 'self')
    const places = /^\/v1\/(auth|me|organizations|organization\/leave|invitations\/(lookup|accept)|plans)(\/|$)/
    expect(open.filter((route) => !places.test(route.path) || route.personalData !== null).map(nameOf)).toEqual([])
  })

  test('has a sample of its body that its own schema takes', () => {
    const refused = routes.flatMap((route) => {
      const parsed = route.body?.safeParse(bodyWith(route, randomUUIDv7()))
      return parsed === undefined || parsed.success ? [] : [`${nameOf(route)}: ${parsed.error.message}`]
    })
    expect(refused).toEqual([])
  })

  test('is closed to who has no credential, unless it is public', async () => {
    for (const route of routes) {
      const { status } = await as(null, route, pathWith(route, randomUUIDv7()), bodyWith(route, randomUUIDv7()))
      if (route.scope === 'public') expect(status, nameOf(route)).not.toBe(403)
      else expect(status, nameOf(route)).toBe(401)
    }
  })

  test.each(Role.options)(
    'is open to the role %s exactly where the permission table says so',
    async (role) => {
      for (const route of routes.filter((entry) => entry.scope !== 'public')) {
        const caller = await somebody(role)
        const { status, body } = await as(caller, route, pathWith(route, randomUUIDv7()), bodyWith(route, randomUUIDv7()))
        const what = `${role} ${nameOf(route)}: ${JSON.stringify(body)}`
        expect(status, what).not.toBe(401)
        expect(status, what).toBeLessThan(500)
        if (!mayCall(role, route) || operatorOnly(route)) expect(status, what).toBe(403)
        else if (status === 403) expect(body.error.message, what).not.toMatch(/role does not allow/)
      }
    },
    120_000,
  )
})

describe('another organization', () => {
  test('has rows to be found in every service', () => {
    for (const service of allServices) expect(idsFor(service.routes[0] as never).length, service.name).toBeGreaterThan(0)
  })

  // First: afterwards our own audit log names the ids that we tried.
  test('is in no list', async () => {
    const everything = [...theirs.values()].flat().filter((id) => id.length > 20)
    for (const route of routes.filter(
      (entry) => entry.method === 'GET' && !entry.path.includes(':') && entry.scope !== 'public',
    )) {
      const { status, text } = await as(ourOwner, route, route.path)
      if (status === 400) continue // One that cannot be asked without a filter.
      expect(text.replaceAll(`canary-${mine}`, ''), nameOf(route)).not.toContain('canary-')
      for (const id of everything) expect(text, `${nameOf(route)} shows ${id}`).not.toContain(id)
    }
  })

  test.each(Role.options)(
    'is neither read nor changed nor hinted at by the role %s, whatever id it names',
    async (role) => {
      const caller = role === 'owner' ? ourOwner : await somebody(role)
      let asked = 0
      // The id of a channel is the provider's: naming theirs makes a row of ours, and our own log then tells of it.
      const asking = routes.filter(
        (entry) => entry.scope !== 'public' && takesIds(entry) && entry.path !== '/v1/channels/:accountId',
      )
      for (const route of asking) {
        for (const id of idsFor(route)) {
          const answered = await as(caller, route, pathWith(route, id), bodyWith(route, id))
          asked++
          const what = `${role} ${nameOf(route)} on ${id}: ${answered.status} ${answered.text}`
          if (!mayCall(role, route)) expect(answered.status, what).toBe(403)
          expect(answered.status, what).toBeLessThan(500)
          // Word for word what an id gets that nobody has: nothing of theirs can be read off it, not even that it is there.
          const nobodys = isUuid.test(id) ? randomUUIDv7() : `nobodys-${randomUUIDv7()}`
          const control = await as(caller, route, pathWith(route, nobodys), bodyWith(route, nobodys))
          expect({ status: answered.status, text: timeless(answered.text.replaceAll(id, 'ID')) }, what).toEqual({
            status: control.status,
            text: timeless(control.text.replaceAll(nobodys, 'ID')),
          })
        }
      }
      expect(asked).toBeGreaterThan(100)
    },
    180_000,
  )

  test('is as it was', async () => {
    const changed = await world.sql(
      `select action from accounts.audit_entries where organization_id = $1 and actor_kind = 'member'`,
      [world.otherOrganizationId],
    )
    expect(changed).toEqual([])
  })
})
