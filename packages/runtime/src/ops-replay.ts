import { fitsKey, subjectOn, Timestamp } from '@parley/contracts'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Bus } from './bus.ts'
import { Unpublishable } from './bus-publisher.ts'
import { opsPath, route } from './ops-app.ts'

interface Kept {
  seq: string
  id: string
  lane: number
  type: string
  key: string
  envelope: string
}

/** Publishes it; false for one that never can be, which is a dead letter already. */
async function publish(bus: Bus, organizationId: string, { id, lane, type, key, envelope }: Kept): Promise<boolean> {
  if (!fitsKey(key)) return false
  try {
    await bus.publish(subjectOn(bus.root, lane, type, organizationId, key), id, envelope)
    return true
  } catch (error) {
    if (error instanceof Unpublishable) return false
    throw error
  }
}

/** Publishes what a service's outbox keeps to the broker again. */
export function replayRoutes(serviceName: string) {
  return [
    route({
      method: 'POST',
      path: `${opsPath(serviceName)}/replay`,
      summary: `Publish ${serviceName}'s events since a moment to the broker again; handlers that had them do nothing.`,
      scope: 'ops:write',
      body: z.strictObject({ since: Timestamp, limit: z.int().min(1).max(100_000).default(100_000) }),
      reply: z.object({ service: z.string(), published: z.int(), more: z.boolean() }),
      async run({ body, caller, app, read, commit }) {
        await commit(async (_tx, { audit }) =>
          audit({
            resourceType: 'outbox',
            resourceId: serviceName,
            before: null,
            after: { replayedSince: body.since, limit: body.limit },
          }),
        )
        let after = '0'
        let published = 0
        while (published < body.limit) {
          const page = await read((tx) =>
            sql<Kept>`
              select seq, id, lane, type, key, envelope::text as envelope from outbox
              where organization_id = ${caller.organizationId} and created_at >= ${body.since} and seq > ${after} order by seq limit 500`.execute(
              tx,
            ),
          )
          for (const row of page.rows) {
            after = row.seq
            if (await publish(app.bus, caller.organizationId, row)) published++
          }
          if (page.rows.length < 500) return { service: serviceName, published, more: false }
        }
        return { service: serviceName, published, more: true }
      },
    }),
  ]
}
