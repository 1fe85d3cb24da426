import { messageDeleted, webhookUnrecognised } from '@parley/contracts'
import { type Normalised, ShapeError } from '@parley/providers/webhook'
import { AppError } from '@parley/runtime'
import { describe, expect, test } from 'vitest'
import { judgeDelivery } from './judge-delivery.ts'

const organizationId = '0190a6d2-7b4c-7def-8123-456789abcdef'
const receiptId = '0190a6d2-7b4c-7def-8123-000000000001'
const input = { headers: {}, body: {}, receivedAt: new Date('2026-01-01T00:00:00Z'), accountId: 'P', receiptId, bodySha256: 'ab' }
const judge = (normalise: () => Normalised) =>
  judgeDelivery(organizationId, 'whapi', input, { traceparent: undefined, at: input.receivedAt }, normalise)
const deleted = (id: string) => ({
  type: messageDeleted,
  data: {
    chatKey: 'whatsapp:P:c',
    channel: 'whatsapp',
    provider: 'whapi',
    accountId: 'P',
    chatId: 'c',
    providerMessageId: id,
    deletedAt: '2026-01-01T00:00:00.000Z',
    receiptId,
  },
})

describe('judging a delivery', () => {
  test('its facts become events that follow from the receipt', () => {
    const judgement = judge(() => ({ topic: 'messages.delete', items: [{ dedupeKey: 'k-1', event: deleted('m-1') as never }] }))
    expect(judgement).toMatchObject({ state: 'done', topic: 'messages.delete', providerTime: '2026-01-01T00:00:00.000Z' })
    expect(judgement.items).toMatchObject([
      { key: 'k-1', chatKey: 'whatsapp:P:c', row: { type: 'message.deleted', key: 'whatsapp:P:c', correlationId: receiptId } },
    ])
    expect(JSON.parse(judgement.items[0]?.row?.envelope ?? '')).toMatchObject({
      causationid: receiptId,
      correlationid: receiptId,
      source: 'ingest',
    })
  })

  test('one fact twice in it is one fact', () => {
    const item = { dedupeKey: 'k-1', event: deleted('m-1') as never }
    expect(judge(() => ({ topic: 't', items: [item, item] })).items).toHaveLength(1)
  })

  test('what was not recognised says why', () => {
    const data = { provider: 'whapi', topic: 't', reason: 'Unknown kind of event.', receiptId }
    expect(
      judge(() => ({ topic: 't', items: [{ dedupeKey: 'k', event: { type: webhookUnrecognised as never, data } }] })),
    ).toMatchObject({
      state: 'ignored',
      note: 'unrecognised: Unknown kind of event.',
    })
  })

  test.each([
    ['is too large', { ...deleted('m-1').data, chatId: 'x'.repeat(70_000) }],
    ['has a key that no subject holds', { ...deleted('m-1').data, chatKey: 'é'.repeat(34) }],
    ['breaks its contract', { ...deleted('m-1').data, deletedAt: 'yesterday' }],
  ])('a fact that %s takes none of the others with it, and can be told later', (_why, data) => {
    const bad = { dedupeKey: 'bad', event: { type: messageDeleted, data } as never }
    const good = { dedupeKey: 'good', event: deleted('m-2') as never }
    const judgement = judge(() => ({ topic: 't', items: [bad, good] }))
    expect(judgement).toMatchObject({ state: 'dead', error: expect.stringMatching(/^ContractError/) })
    expect(judgement.items).toMatchObject([{ key: 'good', row: { type: 'message.deleted' } }])
  })

  test('a normaliser that fails is our fault: the receipt is dead, not refused', () => {
    const judgement = judge(() => {
      throw new TypeError('x is undefined\0\ud800')
    })
    expect(judgement).toMatchObject({ state: 'dead', items: [], error: 'TypeError: x is undefined\uFFFD' })
  })

  test('an event that breaks its contract is our fault as well', () => {
    const broken = { ...deleted('m-1'), data: { chatKey: '' } }
    expect(judge(() => ({ topic: 't', items: [{ dedupeKey: 'k', event: broken as never }] }))).toMatchObject({
      state: 'dead',
      items: [],
    })
  })

  test('a body that contradicts its topic is refused', () => {
    const act = () =>
      judge(() => {
        throw new ShapeError('An order is no erasure request.')
      })
    expect(act).toThrow(AppError)
    expect(act).toThrow('An order is no erasure request.')
  })
})
