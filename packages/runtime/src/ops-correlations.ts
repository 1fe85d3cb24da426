import { sql } from 'kysely'
import { z } from 'zod'
import { opsPath, route } from './ops-app.ts'

/** Finds the causal chain that somebody asks about when all they have is an id. */
export function correlationRoutes(serviceName: string) {
  return [
    route({
      method: 'GET',
      path: `${opsPath(serviceName)}/correlations/:id`,
      summary: 'Which chain an id belongs to: of an event, a receipt, or anything an event of the last 7 days mentions.',
      scope: 'ops:read',
      params: z.object({ id: z.string().min(4).max(256) }),
      reply: z.object({ correlationIds: z.array(z.string()) }),
      async run({ params, caller, read }) {
        return read(async (tx) => {
          const direct = await sql<{ correlationId: string }>`
            select distinct correlation_id from outbox where organization_id = ${caller.organizationId} and (correlation_id = ${params.id} or id::text = ${params.id}) limit 5`.execute(
            tx,
          )
          if (direct.rows.length > 0) return { correlationIds: direct.rows.map((row) => row.correlationId) }
          const mentioned = await sql<{ correlationId: string }>`
            select correlation_id, max(seq) as last from outbox
            where organization_id = ${caller.organizationId} and position(${JSON.stringify(params.id)} in envelope::text) > 0
            group by correlation_id order by last desc limit 5`.execute(tx)
          return { correlationIds: mentioned.rows.map((row) => row.correlationId) }
        })
      },
    }),
  ]
}
