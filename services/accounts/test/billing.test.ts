import { type DataOf, subscriptionChanged } from '@parley/contracts'
import { openPaymentSimulator, type PaymentSimulator } from '@parley/providers/payments'
import type { ServiceDatabase } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import type { DB } from '../src/db/types.ts'
import { closeMonth } from '../src/jobs/close-month.ts'
import { renewal } from '../src/jobs/renewal.ts'
import { accounts } from '../src/service.ts'
import { openBooks, thisMonth } from './books.ts'

const secret = `whsec_${Buffer.from('the secret of a payment provider').toString('base64')}`
let world: World
let provider: PaymentSimulator
let database: ServiceDatabase<DB>
let organizationId: string

beforeAll(async () => {
  world = await startWorld({
    services: [accounts],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { ACCOUNTS_PAYMENT_SECRET: secret },
  })
  provider = openPaymentSimulator({ webhookUrl: `${world.running.url}/v1/payment-webhooks/standard`, secret })
  database = world.running.services[0]?.database as unknown as ServiceDatabase<DB>
  organizationId = world.organizationId
  await openBooks(world).created()
})
afterAll(async () => {
  await provider?.close()
  await world?.stop()
})

const tables = ['payment_events', 'usage_months', 'billing_transactions', 'subscriptions', 'invoice_counters', 'usage_settings']
/** Each test begins with a new organization's books. */
beforeEach(async () => {
  for (const table of tables) await world.sql(`delete from accounts.${table} where organization_id = $1`, [organizationId])
  await world.sql(`delete from accounts.usage_slots where organization_id = $1`, [organizationId])
  await openBooks(world).created()
})

const transactions = async (query = '') => (await world.call('GET', `/v1/billing/transactions${query}`)).body.items
const subscription = async () => (await world.call('GET', '/v1/subscription')).body.current
const changeTo = (plan: string, billingCycle = 'monthly') =>
  world.call('PATCH', '/v1/subscription', { body: { plan, billingCycle } })

/** The first charge of a paid plan, its trial over. */
async function firstCharge(plan = 'starter') {
  await changeTo(plan)
  await endPeriod()
  const [charge] = await transactions()
  return charge
}

/** Makes the current period end in the past, and the renewal due. */
async function endPeriod() {
  const { id } = await subscription()
  const end = new Date(Date.now() - 1_000)
  await world.sql(`update accounts.subscriptions set period_end = $2 where subscription_id = $1`, [id, end])
  await database.commit({ organizationId }, async (_tx, { later }) =>
    later(renewal, { subscriptionId: id, periodEnd: end.toISOString() }),
  )
  await world.settle()
}

const said = (charge: { id: string; totalAmountMinor: number }) => ({
  organizationId,
  transactionId: charge.id,
  amountMinor: charge.totalAmountMinor,
})

test('a first paid plan begins with a trial, is charged when the trial ends, and each change is history', async () => {
  expect(await subscription()).toMatchObject({ plan: 'free', status: 'active', periodEnd: null })
  const { body } = await changeTo('starter')
  expect(body.current).toMatchObject({ plan: 'starter', status: 'trialing', monthlyPriceMinor: 2_900 })
  expect(body.history).toMatchObject([{ plan: 'free', status: 'cancelled' }])
  expect(await transactions()).toEqual([])
  await endPeriod()
  expect(await subscription()).toMatchObject({ status: 'active' })
  expect(await transactions()).toMatchObject([
    { type: 'subscription', status: 'pending', totalAmountMinor: 2_900, currency: 'USD', invoiceNumber: `INV-${year()}-1` },
  ])
  expect((await changeTo('starter')).status).toBe(409)
  const events = (await world.events('accounts', subscriptionChanged.type)).map(
    (event) => event.data as DataOf<typeof subscriptionChanged>,
  )
  expect(events.slice(-2)).toMatchObject([
    { plan: 'starter', status: 'trialing', previousPlan: 'free' },
    { plan: 'starter', status: 'active' },
  ])
})

test('a change of plan in the middle credits what is not used, takes the next invoice number and gives no second trial', async () => {
  await firstCharge()
  const { body } = await changeTo('professional', 'annual')
  expect(body.current).toMatchObject({ plan: 'professional', status: 'active', billingCycle: 'annual' })
  const [charge, credit, first] = await transactions().then((items) =>
    items.sort((a: { invoiceNumber: string }, b: { invoiceNumber: string }) => b.invoiceNumber.localeCompare(a.invoiceNumber)),
  )
  expect(first).toMatchObject({ type: 'subscription', totalAmountMinor: 2_900, invoiceNumber: `INV-${year()}-1` })
  expect(credit).toMatchObject({ type: 'credit', status: 'succeeded', invoiceNumber: `INV-${year()}-2` })
  // The period began a second ago: all but a cent of it comes back.
  expect(credit.totalAmountMinor).toBeLessThanOrEqual(-2_898)
  expect(charge).toMatchObject({ type: 'subscription', totalAmountMinor: 99_000, invoiceNumber: `INV-${year()}-3` })
})

test('invoice numbers have no gaps, however many are taken at once and however many are given back', async () => {
  const { id } = await firstCharge()
  const attempts = await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      provider.tells(
        { type: 'payment.refunded', organizationId, transactionId: id, amountMinor: 100, currency: i % 3 === 0 ? 'EUR' : 'USD' },
        { times: 1 },
      ),
    ),
  )
  expect(attempts.filter(({ status }) => status === 200)).toHaveLength(8)
  const numbers = (await transactions('?limit=100')).map((one: { invoiceNumber: string }) =>
    Number(one.invoiceNumber.split('-')[2]),
  )
  expect(numbers.sort((a: number, b: number) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a payment is written once, however often its webhook comes', async () => {
  const charge = await firstCharge()
  const delivery = await provider.tells({ type: 'payment.succeeded', ...said(charge), paymentMethod: 'card' }, { times: 3 })
  expect(delivery).toMatchObject({ status: 200, tries: 3 })
  expect(await transactions()).toMatchObject([
    { id: charge.id, status: 'succeeded', paymentMethod: 'card', paymentProvider: 'standard' },
  ])
  expect(await world.sql(`select 1 from accounts.payment_events where organization_id = $1`, [organizationId])).toHaveLength(1)
  const [again] = await world.sql<{ audits: number }>(
    `select count(*)::int as audits from accounts.outbox where organization_id = $1 and type = 'audit.change_recorded' and key = $2`,
    [organizationId, charge.id],
  )
  // Made, and paid.
  expect(again?.audits).toBe(2)
  // A refund that comes twice gives the money back once.
  const back = { type: 'payment.refunded' as const, ...said(charge), amountMinor: 900, providerTransactionId: 're_1' }
  expect(await provider.tells(back, { times: 2 })).toMatchObject({ status: 200, tries: 2 })
  // And once more under another event's id: still the same refund.
  expect(await provider.tells(back)).toMatchObject({ status: 200 })
  expect((await transactions('?type=refund')).map((one: { amountMinor: number }) => one.amountMinor)).toEqual([-900])
})

test('a webhook that is forged, old or altered changes nothing', async () => {
  const charge = await firstCharge()
  const forged = `whsec_${Buffer.from('somebody else altogether, a guess').toString('base64')}`
  const happening = { type: 'payment.succeeded' as const, ...said(charge) }
  expect(await provider.tells(happening, { secret: forged, times: 1 })).toMatchObject({ status: 401 })
  expect(await provider.tells(happening, { at: new Date(Date.now() - 6 * 60_000), times: 1 })).toMatchObject({ status: 401 })
  expect(await provider.tells(happening, { at: new Date(Date.now() + 6 * 60_000), times: 1 })).toMatchObject({ status: 401 })
  const unsigned = await world.call('POST', '/v1/payment-webhooks/standard', { body: {}, key: null })
  expect(unsigned).toMatchObject({ status: 401, body: { error: { code: 'unauthenticated' } } })
  const other = await world.call('POST', '/v1/payment-webhooks/constructor', { body: {}, key: null })
  expect(other.status).toBe(404)
  expect(await transactions()).toMatchObject([{ status: 'pending' }])
})

test('what names another organization’s transaction, or another amount, is refused and may be said again', async () => {
  const charge = await firstCharge()
  const tell = (more: object) => provider.tells({ type: 'payment.succeeded', ...said(charge), ...more }, { times: 1 })
  expect(await tell({ organizationId: world.otherOrganizationId })).toMatchObject({ status: 422 })
  expect(await tell({ amountMinor: 1 })).toMatchObject({ status: 422 })
  expect(await tell({ transactionId: randomUUIDv7() })).toMatchObject({ status: 422 })
  const eventId = 'evt_said_again'
  expect(await tell({ eventId, currency: 'EUR' })).toMatchObject({ status: 422 })
  expect(await tell({ eventId })).toMatchObject({ status: 200 })
  expect(await transactions()).toMatchObject([{ status: 'succeeded' }])
})

test('a failed payment makes the subscription past due and a later one active again, in whatever order they are reported', async () => {
  const charge = await firstCharge()
  await provider.tells({ type: 'payment.failed', ...said(charge), reason: 'card_declined' })
  expect(await subscription()).toMatchObject({ status: 'past_due' })
  expect(await transactions()).toMatchObject([{ status: 'failed', failureReason: 'card_declined' }])
  await provider.tells({ type: 'payment.succeeded', ...said(charge) })
  expect(await subscription()).toMatchObject({ status: 'active' })
  await provider.tells({ type: 'payment.failed', ...said(charge), occurredAt: new Date(Date.now() - 60_000).toISOString() })
  expect(await subscription()).toMatchObject({ status: 'active' })
  expect(await transactions()).toMatchObject([{ status: 'succeeded', failureReason: null }])
})

test('a whole refund that is reported before the payment stays a refund', async () => {
  const charge = await firstCharge()
  await provider.tells({ type: 'payment.refunded', ...said(charge) })
  await provider.tells({ type: 'payment.succeeded', ...said(charge) })
  const all = await transactions()
  expect(all.find((one: { id: string }) => one.id === charge.id)).toMatchObject({ status: 'refunded' })
  expect(await provider.tells({ type: 'payment.refunded', ...said(charge), amountMinor: 1 }, { times: 1 })).toMatchObject({
    status: 422,
  })
})

test('a cancelled plan lasts until the end of what is paid, can be taken back before, and then free begins', async () => {
  await firstCharge()
  const cancelled = await world.call('POST', '/v1/subscription/cancel', { body: { reason: 'Too dear' } })
  expect(cancelled.body.current).toMatchObject({ plan: 'starter', status: 'active', cancellationReason: 'Too dear' })
  expect((await world.call('POST', '/v1/subscription/cancel', { body: {} })).status).toBe(409)
  expect((await world.call('POST', '/v1/subscription/resume')).body.current).toMatchObject({ cancelledAt: null })
  await world.call('POST', '/v1/subscription/cancel', { body: { reason: 'Really' } })
  const before = (await transactions()).length
  await endPeriod()
  expect(await subscription()).toMatchObject({ plan: 'free', status: 'active' })
  expect(await transactions()).toHaveLength(before)
  expect((await world.call('POST', '/v1/subscription/cancel', { body: {} })).status).toBe(409)
})

test('a provider that gives a subscription up ends it once, and word of an older one ends nothing', async () => {
  await firstCharge()
  const { id: subscriptionId } = await subscription()
  const gone = { type: 'subscription.cancelled' as const, organizationId, subscriptionId, reason: 'unpaid' }
  await provider.tells(gone)
  expect(await subscription()).toMatchObject({ plan: 'free' })
  await changeTo('starter')
  await provider.tells(gone)
  expect(await subscription()).toMatchObject({ plan: 'starter' })
})

test('a month is billed once for what ran over, and what comes later counts where it is learned of', async () => {
  const books = openBooks(world)
  await changeTo('professional')
  // The plan began in that month, as far as the books know.
  await world.sql(
    `update accounts.subscriptions set started_at = '2026-01-01' where organization_id = $1 and plan = 'professional'`,
    [organizationId],
  )
  await books.limits({ messages: 10 })
  const past = new Date('2026-01-15T12:00:00Z')
  const customerId = randomUUIDv7()
  await Promise.all(Array.from({ length: 110 }, () => books.message({ addedAt: past, customerId })))
  await world.settle()
  const close = (step: 'shut' | 'settle') =>
    database.commit({ organizationId }, async (_tx, { later }) => later(closeMonth, { month: '2026-01-01', step }))
  await close('shut')
  await world.settle()
  await books.message({ addedAt: past })
  await world.settle()
  await close('settle')
  await close('settle')
  await world.settle()

  const bills = await transactions('?type=overage')
  expect(bills).toMatchObject([
    {
      status: 'pending',
      totalAmountMinor: 20,
      lines: [{ metric: 'messages', used: 110, limit: 10, quantity: 100, amountMinor: 20 }],
    },
  ])
  const { body } = await world.call('GET', '/v1/usage/months')
  expect(body.items).toMatchObject([
    { year: Number(thisMonth().slice(0, 4)), totals: { messages: 1 }, closedAt: null },
    {
      year: 2026,
      month: 1,
      totals: { messages: 110, customers: 1 },
      messageLimit: 10,
      overageMessages: 100,
      overageTransactionId: bills[0].id,
    },
  ])
  expect(
    await world.sql(`select 1 from accounts.usage_customers where organization_id = $1 and month = '2026-01-01'`, [
      organizationId,
    ]),
  ).toEqual([])
  const one = await world.call('GET', `/v1/billing/transactions/${bills[0].id}`)
  expect(one.body).toEqual(bills[0])
  expect((await world.call('GET', `/v1/billing/transactions/${bills[0].id}`, { key: world.otherKey })).status).toBe(404)
})

test('plans are shown to anybody, and each change of a subscription is in the audit log', async () => {
  const { status, body } = await world.call('GET', '/v1/plans', { key: null })
  expect(status).toBe(200)
  expect(body.items.map((one: { plan: string }) => one.plan)).toEqual(['free', 'starter', 'professional', 'enterprise'])
  await changeTo('starter')
  const audits = (await world.events('accounts', 'audit.change_recorded')).map(
    (event) => event.data as { action: string; resourceType: string; after: { plan?: string } | null },
  )
  expect(audits.at(-1)).toMatchObject({
    action: 'PATCH /v1/subscription',
    resourceType: 'subscription',
    after: { plan: 'starter' },
  })
})

const year = () => new Date().getUTCFullYear()
