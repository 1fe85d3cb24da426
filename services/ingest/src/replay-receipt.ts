import { parseJson } from '@parley/contracts/json'
import { AppError, type CommitFn, currentTraceparent, type Tx } from '@parley/runtime'
import type { App } from './app.ts'
import { findWholeReceipt, lockReceiptWithBody, noteReplay, storeReplay, type WholeReceipt } from './db/receipts.ts'
import { isPast, settleStates } from './db/told-states.ts'
import type { DB } from './db/types.ts'
import { type Judgement, judgeDelivery } from './door/judge-delivery.ts'
import { adapterOf } from './door/take-delivery.ts'
import { storeRecording } from './recordings.ts'
import type { DeliveryItem } from './store-deliveries.ts'

/**
 * Reads a stored delivery again, with the code and the object storage of today. Gives how many events that stated. Throws AppError
 * `not_found`, or `gone` when the receipt no longer has its body.
 */
export async function replayReceipt(app: App, commit: CommitFn<DB>, organizationId: string, id: string): Promise<number> {
  const receipt = await app.database.read(organizationId, (tx) => findWholeReceipt(tx, organizationId, id))
  if (receipt === undefined) throw new AppError('not_found', 'No receipt with that id.')
  const judgement = await judgeAgain(app, receipt)
  return await commit(async (tx, { audit }) => {
    // An erasure may have come between: what it took must not be told again.
    if (!(await lockReceiptWithBody(tx, organizationId, id))) throw noBody()
    const items = await withoutPast(tx, receipt, judgement.items)
    const stated = await storeReplay(tx, organizationId, receipt, items)
    await noteReplay(tx, organizationId, id, { ...judgement, newEvents: stated })
    const after = { state: judgement.state, newEvents: stated }
    audit({ resourceType: 'receipt', resourceId: id, before: { state: receipt.state }, after })
    return stated
  })
}

/** A state of which something newer has been told is past: reading an old receipt must not bring it back. */
async function withoutPast(tx: Tx<DB>, receipt: WholeReceipt, items: readonly DeliveryItem[]): Promise<DeliveryItem[]> {
  const { organizationId, sourceId, id: receiptId, receivedAt } = receipt
  const kept: DeliveryItem[] = []
  for (const item of items) {
    const { state, key: itemKey } = item
    const offered = state && { sourceId, itemKey, receiptId, receivedAt, state }
    const past = offered !== undefined && (await isPast(tx, organizationId, offered))
    const told = offered !== undefined && !past && (await settleStates(tx, organizationId, [offered])).size > 0
    kept.push(past || told ? { ...item, row: null } : item)
  }
  return kept
}

async function judgeAgain(app: App, receipt: WholeReceipt): Promise<Judgement> {
  const { organizationId, provider, id: receiptId, bodySha256, headers, receivedAt, accountId } = receipt
  if (receipt.body === null) throw noBody()
  const { value } = parseJson(receipt.body, adapterOf(receipt).limits)
  const recording =
    provider === 'elevenlabs' ? await storeRecording(app.putObject, { organizationId, receiptId, body: value }) : undefined
  const body = recording?.body ?? value
  return judgeDelivery(
    organizationId,
    provider,
    { headers, body, receivedAt, accountId, receiptId, bodySha256, storedObject: recording?.storedObject },
    { traceparent: currentTraceparent(), at: app.now() },
  )
}

function noBody(): AppError {
  return new AppError('gone', 'The receipt has no body any more: it was erased, or another receipt holds the same.')
}
