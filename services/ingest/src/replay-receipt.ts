import { parseJson } from '@parley/contracts/json'
import { AppError, currentTraceparent } from '@parley/runtime'
import type { App } from './app.ts'
import { lockReceipt, noteReplay, storeReplay } from './db/receipts.ts'
import { judgeDelivery } from './door/judge-delivery.ts'
import { adapterOf } from './door/take-delivery.ts'
import { storeRecording } from './recordings.ts'

/**
 * Reads a stored delivery again, with the code and the object storage of today. Gives how many events that stated. Throws AppError
 * `not_found`, or `gone` when the receipt no longer has its body.
 */
export async function replayReceipt(app: App, organizationId: string, id: string): Promise<number> {
  const newEvents = await app.database.transaction(organizationId, async ({ tx }) => {
    const receipt = await lockReceipt(tx, organizationId, id)
    if (receipt === undefined) throw new AppError('not_found', 'No receipt with that id.')
    if (receipt.body === null)
      throw new AppError('gone', 'The receipt has no body any more: it was erased, or another receipt holds the same.')
    const { value } = parseJson(receipt.body, adapterOf(receipt).limits)
    const recording =
      receipt.provider === 'elevenlabs'
        ? await storeRecording(app.putObject, { organizationId, receiptId: id, body: value })
        : undefined
    const { bodySha256, headers, receivedAt, accountId } = receipt
    const judgement = judgeDelivery(
      organizationId,
      receipt.provider,
      {
        headers,
        body: recording?.body ?? value,
        receivedAt,
        accountId,
        receiptId: id,
        bodySha256,
        storedObject: recording?.storedObject,
      },
      currentTraceparent(),
    )
    const stated = await storeReplay(tx, organizationId, receipt, judgement.items)
    await noteReplay(tx, organizationId, id, { ...judgement, newEvents: stated })
    return stated
  })
  if (newEvents > 0) app.database.wake()
  return newEvents
}
