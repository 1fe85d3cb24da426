import { classify, describe, isOurTrouble } from '@parley/runtime'
import { type App, job } from '../app.ts'
import { deleteItems, deleteReceipts, type ItemPlace, listOwners } from '../db/old-receipts.ts'
import { forgetReceiptsRef } from '../db/upkeep.ts'
import { firstIdAt } from '../rules/receipt-age.ts'

const day = 86_400_000
const ownersAtOnce = 50
/** A body may have a megabyte: few at once, or one transaction writes its log for seconds. */
const receiptsAtOnce = 200
const itemsAtOnce = 2_000

/**
 * Removes receipts, and what tells repeated deliveries apart, once they are older than INGEST_RECEIPT_DAYS: they hold what customers wrote. Once
 * a day, some organizations a run, in short transactions; a run that is cut off begins again with them and finds less.
 */
export const forgetReceipts = job(
  forgetReceiptsRef.name,
  forgetReceiptsRef.schema,
  { policy: 'stately', expireSeconds: 900 },
  async ({ data: { after }, app, read, commit, signal, log }) => {
    const before = firstIdAt(new Date(app.now().getTime() - app.config.INGEST_RECEIPT_DAYS * day))
    const owners = await read((tx) => listOwners(tx, after, ownersAtOnce))
    for (const organizationId of owners) {
      try {
        const { gone, dead } = await forget(app, organizationId, before, signal)
        if (gone > 0) log.info({ organizationId, receipts: gone, dead }, 'receipts were removed because of their age')
      } catch (error) {
        // Tomorrow again; it keeps nobody else's from being removed.
        if (signal.aborted || isOurTrouble(classify(error))) throw error
        log.error({ organizationId, err: describe(error) }, 'the old receipts of an organization could not be removed')
      }
    }
    const last = owners.length === ownersAtOnce ? owners.at(-1) : undefined
    const startAfter = new Date(app.now().getTime() + day)
    await commit(async (_tx, { later }) => {
      if (last !== undefined) later(forgetReceiptsRef, { after: last }, { key: 'installation' })
      else later(forgetReceiptsRef, { after: null }, { key: 'installation', startAfter })
    })
  },
)

async function forget(app: App, organizationId: string, before: string, signal: AbortSignal) {
  const sum = { gone: 0, dead: 0 }
  for (let gone = receiptsAtOnce; gone === receiptsAtOnce; ) {
    signal.throwIfAborted()
    const chunk = await app.database.commit({ organizationId }, (tx) =>
      deleteReceipts(tx, organizationId, before, receiptsAtOnce),
    )
    gone = chunk.gone
    sum.gone += chunk.gone
    sum.dead += chunk.dead
  }
  let place: ItemPlace | null | undefined = null
  while (place !== undefined) {
    signal.throwIfAborted()
    const from: ItemPlace | null = place
    place = await app.database.commit({ organizationId }, (tx) => deleteItems(tx, organizationId, before, from, itemsAtOnce))
  }
  return sum
}
