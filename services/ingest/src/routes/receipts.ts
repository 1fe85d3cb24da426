import { isUtf8 } from 'node:buffer'
import { Id, ProviderName, Timestamp } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findReceipt, type ListedReceipt, listReceipts } from '../db/receipts.ts'
import { replayReceipt } from '../replay-receipt.ts'

const State = z.enum(['done', 'ignored', 'dead'])

const ReceiptView = z.object({
  id: Id,
  sourceId: Id,
  provider: ProviderName,
  topic: z.string(),
  /** `dead`: our own fault, to be replayed when it is mended. */
  state: State,
  note: z.string().nullable(),
  bodySha256: z.string(),
  size: z.int(),
  eventCount: z.int(),
  /** Items that had come before. */
  duplicateCount: z.int(),
  correlationId: z.string(),
  receivedAt: Timestamp,
  providerTime: Timestamp.nullable(),
  attempts: z.int(),
  error: z.string().nullable(),
  replayedAt: Timestamp.nullable(),
})

const WholeReceipt = ReceiptView.extend({
  headers: z.record(z.string(), z.string()),
  /** Null when it was erased, or is a duplicate's. */
  body: z.string().nullable(),
  bodyEncoding: z.enum(['utf8', 'base64']).nullable(),
  bodyTruncated: z.boolean(),
})

const OneReceipt = z.strictObject({ id: Id })
const mostShownBytes = 2 * 1024 * 1024

export const getReceipts = route({
  method: 'GET',
  path: '/v1/receipts',
  summary: 'Webhook deliveries that were accepted, latest first.',
  scope: 'receipts:read',
  query: z.strictObject({
    ...pageQuery,
    provider: ProviderName.optional(),
    state: State.optional(),
    since: z.iso.datetime({ offset: true }).optional(),
  }),
  reply: pageOf(ReceiptView),
  async run({ query: { page, limit, ...filter }, caller, read }) {
    const { items, total } = await read((tx) =>
      listReceipts(tx, caller.organizationId, { ...filter, limit, offset: (page - 1) * limit }),
    )
    return { items: items.map(view), page, limit, total }
  },
})

export const getReceipt = route({
  method: 'GET',
  path: '/v1/receipts/:id',
  summary: 'One delivery with what was sent.',
  scope: 'receipts:read',
  personalData: 'receipt',
  refuses: { not_found: 'No receipt with that id.' },
  params: OneReceipt,
  reply: WholeReceipt,
  async run({ params, caller, read }) {
    const receipt = await read((tx) => findReceipt(tx, caller.organizationId, params.id, mostShownBytes))
    if (receipt === undefined) throw new AppError('not_found', 'No receipt with that id.')
    const { body, headers, size } = receipt
    const bodyEncoding = body === null ? null : isUtf8(body) ? ('utf8' as const) : ('base64' as const)
    return {
      ...view(receipt),
      headers,
      body: body?.toString(bodyEncoding ?? 'utf8') ?? null,
      bodyEncoding,
      bodyTruncated: body !== null && body.length === mostShownBytes && size > mostShownBytes,
    }
  },
})

export const postReplay = route({
  method: 'POST',
  path: '/v1/receipts/:id/replay',
  summary: 'Read a stored delivery again as we read such deliveries today; what it told before is not told twice.',
  scope: 'receipts:write',
  refuses: {
    not_found: 'No receipt with that id.',
    gone: 'The receipt has no body any more: it was erased, or another receipt holds the same.',
  },
  params: OneReceipt,
  reply: ReceiptView.extend({ newEvents: z.int() }),
  async run({ params, caller, app, read, commit }) {
    const newEvents = await replayReceipt(app, commit, caller.organizationId, params.id)
    const receipt = await read((tx) => findReceipt(tx, caller.organizationId, params.id, 0))
    if (receipt === undefined) throw new AppError('not_found', 'No receipt with that id.')
    return { ...view(receipt), newEvents }
  },
})

function view(receipt: ListedReceipt): z.infer<typeof ReceiptView> {
  return {
    id: receipt.id,
    sourceId: receipt.sourceId,
    provider: receipt.provider,
    topic: receipt.topic,
    state: receipt.state,
    note: receipt.note,
    bodySha256: receipt.bodySha256,
    size: receipt.size,
    eventCount: receipt.eventCount,
    duplicateCount: receipt.duplicateCount,
    correlationId: receipt.correlationId,
    receivedAt: receipt.receivedAt.toISOString(),
    providerTime: receipt.providerTime?.toISOString() ?? null,
    attempts: receipt.attempts,
    error: receipt.error,
    replayedAt: receipt.replayedAt?.toISOString() ?? null,
  }
}
