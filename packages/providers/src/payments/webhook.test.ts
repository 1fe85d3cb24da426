import { expect, test } from 'vitest'
import { ShapeError } from '../webhook/types.ts'
import { signatureOf, standardPayments } from './webhook.ts'

const secret = `whsec_${Buffer.from('a secret of twenty-four bytes').toString('base64')}`
const other = `whsec_${Buffer.from('another secret of many bytes').toString('base64')}`
const now = new Date('2026-01-01T00:00:00Z')
const timestamp = String(now.getTime() / 1_000)
const data = {
  organizationId: '0190c8b2-7c5e-7000-8000-000000000001',
  transactionId: '0190c8b2-7c5e-7000-8000-000000000002',
  subscriptionId: null,
  providerTransactionId: 'pay_1',
  amountMinor: 2_900,
  currency: 'USD',
  paymentMethod: 'card',
  invoiceUrl: null,
  reason: null,
}
const body = JSON.stringify({ type: 'payment.succeeded', timestamp: now.toISOString(), data })
const rawBody = Buffer.from(body)

function signed(more: { secret?: string; id?: string; at?: string; body?: string } = {}) {
  const { id = 'evt_1', at = timestamp } = more
  const signature = signatureOf(more.secret ?? secret, id, at, more.body ?? body).toString('base64')
  return { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` }
}
const verify = (headers: Record<string, string>, secrets = [secret], raw: Uint8Array = rawBody) =>
  standardPayments.verify({ headers, rawBody: raw }, secrets, now)

test('the signature is the one that the standard’s own example gives', () => {
  // From the specification's reference implementation.
  const example = signatureOf(
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'msg_p5jXN8AQM9LWM0D4loKWxJek',
    '1614265330',
    '{"test": 2432232314}',
  )
  expect(example.toString('base64')).toBe('g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('a delivery signed with a secret of ours is taken, also while the secret changes', () => {
  expect(verify(signed())).toEqual({ ok: true })
  expect(verify(signed({ secret: other }), [secret, other])).toEqual({ ok: true })
  const both = signed()
  expect(verify({ ...both, 'webhook-signature': `v1a,xyz v1,${'A'.repeat(43)}= ${both['webhook-signature']}` })).toEqual({
    ok: true,
  })
})

test('what was signed by somebody else, for another id, time or body is refused', () => {
  const good = signed()
  for (const headers of [
    signed({ secret: other }),
    { ...good, 'webhook-id': 'evt_2' },
    { ...good, 'webhook-timestamp': String(Number(timestamp) + 1) },
    { ...good, 'webhook-signature': '' },
    { ...good, 'webhook-signature': good['webhook-signature'].replace('v1,', 'v2,') },
    { ...good, 'webhook-signature': `${good['webhook-signature']}=` },
    { ...good, 'webhook-timestamp': `${timestamp}.5` },
  ]) {
    expect(verify(headers)).toMatchObject({ ok: false, status: 401 })
  }
  expect(verify(good, [secret], Buffer.from(`${body} `))).toMatchObject({ ok: false, reason: 'signature_wrong' })
  expect(verify(good, [])).toMatchObject({ ok: false })
})

test('a captured delivery is of no use after five minutes, and one from the future of none at all', () => {
  const at = (seconds: number) => verify(signed({ at: String(Number(timestamp) + seconds) }))
  expect(at(-300)).toEqual({ ok: true })
  expect(at(-301)).toMatchObject({ ok: false, reason: 'too_old' })
  expect(at(300)).toEqual({ ok: true })
  expect(at(301)).toMatchObject({ ok: false, reason: 'too_old' })
})

test('a body becomes one event, under the id that was signed', () => {
  const event = standardPayments.normalise({ headers: signed(), body: JSON.parse(body) })
  expect(event).toEqual({ ...data, eventId: 'evt_1', type: 'payment.succeeded', occurredAt: now.toISOString() })
})

test('types of no use are passed over, known ones of another shape are refused', () => {
  const read = (value: unknown) => standardPayments.normalise({ headers: signed(), body: value })
  expect(read({ type: 'customer.created', timestamp: now.toISOString(), data: {} })).toBeNull()
  expect(read('nonsense')).toBeNull()
  const shape = (more: object) => () =>
    read({ type: 'payment.succeeded', timestamp: now.toISOString(), data: { ...data, ...more } })
  expect(shape({ amountMinor: -1 })).toThrow(ShapeError)
  expect(shape({ amountMinor: 12.5 })).toThrow(ShapeError)
  expect(shape({ organizationId: 'x' })).toThrow(ShapeError)
  expect(shape({ transactionId: null })).toThrow(ShapeError)
  expect(shape({ invoiceUrl: 'javascript:alert(1)' })).toThrow(ShapeError)
})
