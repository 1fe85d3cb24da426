import type { DataOf, organizationCreated } from '@parley/contracts'
import type { World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

let world: World
let people: OrganizationWorld
let organizationId: string
let owner: Person

beforeAll(async () => {
  people = await startOrganizationWorld({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  world = people.world
  ;({ organizationId, owner } = await people.organization('Maison Zoé', {
    timezone: 'Europe/Paris',
    locale: 'fr-FR',
    currency: 'EUR',
  }))
})
afterAll(async () => {
  await world?.stop()
})

const stated = async (type: string, of = organizationId) =>
  (await world.events('accounts', type)).filter((event) => event.organizationId === of)

describe('an organization', () => {
  test('comes into being with its owner and says so, once, however often the operator asks', async () => {
    const asked = { name: 'Demo', organizationId: randomUUIDv7(), ownerEmail: 'demo@example.com' }
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => world.call('POST', '/v1/operator/organizations', { body: asked })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(answers.filter(({ body }) => body.created)).toHaveLength(1)
    const created = await stated('organization.created', asked.organizationId)
    expect(created.map(({ data }) => data)).toMatchObject([{ name: 'Demo', status: 'pending_setup', revision: 1 }])
    const ownerId = answers.find(({ body }) => body.created)?.body.ownerId
    expect(await stated('member.joined', asked.organizationId)).toMatchObject([{ data: { userId: ownerId, role: 'owner' } }])
    expect(await world.sql(`select email from accounts.users where user_id = $1`, [ownerId])).toEqual([
      { email: 'demo@example.com' },
    ])
  })

  test('is the one of the operator’s key when no other is named, with the data that was there before', async () => {
    expect((await people.call(undefined, 'GET', '/v1/organization')).status).toBe(404)
    const asked = { name: 'Before', ownerEmail: owner.email }
    expect(await people.call(undefined, 'POST', '/v1/operator/organizations', asked)).toMatchObject({
      status: 200,
      body: { organizationId: world.organizationId, created: true, ownerId: owner.userId },
    })
    expect((await people.call(undefined, 'GET', '/v1/organization')).body).toMatchObject({ name: 'Before' })
    const { body: members } = await people.call(undefined, 'GET', '/v1/members')
    expect(members).toMatchObject({ items: [{ userId: owner.userId, role: 'owner' }] })
  })

  test('is the operator’s to make and close, not an owner’s', async () => {
    const body = { name: 'Mine', ownerEmail: owner.email }
    expect((await owner.call('POST', '/v1/operator/organizations', body)).status).toBe(403)
    const close = { status: 'inactive', reason: 'test' }
    expect((await owner.call('PATCH', `/v1/operator/organizations/${organizationId}`, close)).status).toBe(403)
    const other = await people.organization('Closing')
    const closed = await world.call('PATCH', `/v1/operator/organizations/${other.organizationId}`, { body: close })
    expect(closed).toMatchObject({ status: 200, body: { status: 'inactive', revision: 2 } })
  })

  test('keeps every field of the documents, tells the others what concerns them, and audits only what changed', async () => {
    const address = { line1: '1 rue de la Paix', line2: null, city: 'Paris', region: null, postalCode: '75002', country: 'FR' }
    const change = {
      name: 'Maison Zoé SARL',
      domain: 'Zoe.Example.com',
      subdomain: `zoe-${randomUUIDv7().slice(-6)}`,
      website: 'https://zoe.example.com',
      contactName: 'Zoé',
      contactEmail: 'Contact@Zoe.Example.com',
      contactPhone: '+33 6 12 34 56 78',
      billingEmail: 'billing@zoe.example.com',
      address,
      timezone: 'America/St_Johns',
      locale: 'fr-ca',
      currency: 'CAD',
      ai: { enabled: false, modelPreference: 'gpt-4', confidenceThreshold: 0.6, monthlyBudgetMicros: 5_000_000 },
    }
    const expected = {
      ...change,
      domain: 'zoe.example.com',
      contactEmail: 'contact@zoe.example.com',
      contactPhone: '+33612345678',
      locale: 'fr-CA',
    }
    const changed = await owner.call('PATCH', '/v1/organization', change)
    expect(changed).toMatchObject({ status: 200, body: { ...expected, revision: 2 } })
    expect((await owner.call('GET', '/v1/organization')).body).toEqual(changed.body)
    const { name, timezone, locale, currency, ai } = expected
    const updated = (await stated('organization.updated')) as unknown as { data: DataOf<typeof organizationCreated> }[]
    expect(updated.map(({ data }) => data)).toMatchObject([{ name, timezone, locale, currency, ai, organizationId, revision: 2 }])

    expect((await owner.call('PATCH', '/v1/organization', change)).body.revision).toBe(2)
    await owner.call('PATCH', '/v1/organization', { website: null })
    const audits = (await stated('audit.change_recorded')).map(({ data }) => data as Record<string, unknown>)
    expect(audits.at(-1)).toMatchObject({
      action: 'PATCH /v1/organization',
      actor: { kind: 'member', id: owner.userId },
      before: { website: 'https://zoe.example.com' },
      after: { website: null },
    })
    expect(Object.keys(audits.at(-1)?.['after'] as object)).toEqual(['website'])
    expect(audits.filter(({ action }) => action === 'PATCH /v1/organization')).toHaveLength(2)
  })

  test('takes no field that is not its owner’s to set (A25)', async () => {
    const before = (await owner.call('GET', '/v1/organization')).body
    for (const field of ['organizationId', 'organization_id', 'status', 'revision', 'onboarding', 'createdAt', 'role']) {
      const answer = await owner.call('PATCH', '/v1/organization', { name: 'Stolen', [field]: 'active' })
      expect(answer, field).toMatchObject({ status: 400, body: { error: { code: 'invalid' } } })
    }
    for (const wrong of [
      { timezone: '+02:00' },
      { locale: 'fr_FR' },
      { currency: 'ABC' },
      { subdomain: 'www' },
      { website: 'javascript:alert(1)' },
      { contactPhone: '12' },
      { name: 'a\r\nBcc: everybody' },
      { ai: { confidenceThreshold: 1.1 } },
      { address: { country: 'France' } },
    ])
      expect((await owner.call('PATCH', '/v1/organization', wrong)).status, JSON.stringify(wrong)).toBe(400)
    expect((await owner.call('GET', '/v1/organization')).body).toEqual(before)
  })

  test('shares nothing with another but the subdomains, which are first come', async () => {
    const other = await people.organization('Other')
    const subdomain = `first-${randomUUIDv7().slice(-6)}`
    const answers = await Promise.all([owner, other.owner].map((each) => each.call('PATCH', '/v1/organization', { subdomain })))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409])
    const winner = answers[0]?.status === 200 ? owner : other.owner
    const loser = winner === owner ? other.owner : owner
    expect((await winner.call('PATCH', '/v1/organization', { subdomain: null })).status).toBe(200)
    expect((await loser.call('PATCH', '/v1/organization', { subdomain })).status).toBe(200)
  })

  test('is opened by a person who proved their address, who is then in both', async () => {
    const stranger = await people.actingIn(await people.person('stranger', { verified: false }), null)
    expect((await stranger.call('POST', '/v1/organizations', { name: 'No' })).status).toBe(403)
    expect(await world.call('POST', '/v1/organizations', { body: { name: 'No' } })).toMatchObject({ status: 403 })
    const made = await owner.call('POST', '/v1/organizations', { name: 'Second', currency: 'EUR' })
    expect(made).toMatchObject({
      status: 201,
      body: { name: 'Second', currency: 'EUR', timezone: 'UTC', status: 'pending_setup' },
    })
    const mine = await owner.call('GET', '/v1/organizations')
    expect(mine.body.items[0]).toMatchObject({ organizationId, role: 'owner' })
    expect(mine.body.items.slice(-1)).toMatchObject([
      { organizationId: made.body.organizationId, name: 'Second', role: 'owner', status: 'active' },
    ])
    expect((await stranger.call('GET', '/v1/organizations')).body).toEqual({ items: [] })
  })

  test('is set up step by step, and active when what it needs is there', async () => {
    const fresh = await people.organization('Fresh')
    expect((await fresh.owner.call('GET', '/v1/onboarding')).body).toMatchObject({
      status: 'pending_setup',
      next: 'business',
      missing: ['business', 'connection'],
      completedAt: null,
    })
    expect(await fresh.owner.call('POST', '/v1/onboarding/complete', {})).toMatchObject({
      status: 409,
      body: { error: { details: { missing: ['business', 'connection'] } } },
    })
    for (const step of ['business', 'connection']) await fresh.owner.call('PUT', `/v1/onboarding/steps/${step}`, { done: true })
    expect((await fresh.owner.call('PUT', '/v1/onboarding/steps/everything', { done: true })).status).toBe(400)
    const done = await fresh.owner.call('POST', '/v1/onboarding/complete', {})
    expect(done).toMatchObject({ status: 200, body: { status: 'active', next: 'ai', missing: [] } })
    expect((await fresh.owner.call('POST', '/v1/onboarding/complete', {})).body).toEqual(done.body)
    expect((await stated('organization.updated', fresh.organizationId)).at(-1)).toMatchObject({ data: { status: 'active' } })
  })
})
