import { crashPoint, type ServiceDatabase } from '@parley/runtime'
import type { DB } from '../db/types.ts'
import { type Delivery, storeDeliveries, type Stored } from '../store-deliveries.ts'

/** Deliveries of one commit; beyond this a group grows slower than it saves. */
export const largestBatch = 128

/** Bytes of bodies in one statement: they pass through memory several times on their way. */
const largestStatementBytes = 16 * 1024 * 1024

/** Writes deliveries that arrived together in one transaction, each organization's under its own row-level security. */
export async function storeBatch(database: ServiceDatabase<DB>, deliveries: readonly Delivery[]): Promise<Stored[]> {
  const stored = new Map<Delivery, Stored>()
  // In one order everywhere, so that two replicas never wait for each other in a circle.
  const groups = [...Map.groupBy(deliveries, (delivery) => delivery.organizationId)].sort(([a], [b]) => (a < b ? -1 : 1))
  await database.transaction(groups[0]?.[0] ?? null, async (session) => {
    for (const [index, [organizationId, group]] of groups.entries()) {
      if (index > 0) session.useOrganization(organizationId)
      for (const chunk of chunksOf(group)) {
        const results = await storeDeliveries(session.tx, organizationId, chunk)
        results.forEach((result, position) => stored.set(chunk[position] as Delivery, result))
      }
    }
    crashPoint('ingest.before_commit')
  })
  crashPoint('ingest.after_commit')
  database.wake()
  return deliveries.map((delivery) => stored.get(delivery) as Stored)
}

function* chunksOf(deliveries: readonly Delivery[]): Generator<Delivery[]> {
  let chunk: Delivery[] = []
  let bytes = 0
  for (const delivery of deliveries) {
    if (chunk.length > 0 && bytes + delivery.body.length > largestStatementBytes) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(delivery)
    bytes += delivery.body.length
  }
  yield chunk
}
