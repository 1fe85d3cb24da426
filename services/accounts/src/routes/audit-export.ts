import { Readable } from 'node:stream'
import { AppError, type Authenticate, type Caller, type Service, type ServiceDatabase, watchRight } from '@parley/runtime'
import { z } from 'zod'
import type { App } from '../app.ts'
import { type AuditFilter, type AuditPlace, countAudit, listAudit } from '../db/audit-list.ts'
import type { DB } from '../db/types.ts'
import { csvLine } from '../rules/csv.ts'
import { exportEntry } from '../rules/export.ts'
import { auditFilters, entryView, filterOf } from './audit.ts'

type HttpServer = Parameters<NonNullable<Service['plugin']>>[0]

/** Rows that one file may have; a longer one is refused rather than cut off in silence. */
const mostRows = 100_000
const pageRows = 500

const Query = z.strictObject({ ...auditFilters, format: z.enum(['ndjson', 'csv']).default('ndjson') })
const types = { ndjson: 'application/x-ndjson; charset=utf-8', csv: 'text/csv; charset=utf-8; header=present' }

/**
 * `GET /v1/audit/export`: the log as a file, line by line, so that a long one takes no memory. It is a plugin and no Route because a
 * Route answers with one value. That it was taken out of the house is itself an entry.
 */
export async function auditExport(scope: HttpServer, app: App, context: { authenticate: Authenticate }): Promise<void> {
  scope.get('/v1/audit/export', async (request, reply) => {
    const caller = await context.authenticate(request, 'audit:read', reply)
    const parsed = Query.safeParse(request.query)
    if (!parsed.success) {
      const [first] = parsed.error.issues
      throw new AppError('invalid', `query.${first?.path.join('.') ?? ''}: ${first?.message ?? 'wrong'}`)
    }
    const { format, ...filters } = parsed.data
    // What is noted while the file is written is not in it.
    const filter = filterOf({ ...filters, to: filters.to ?? app.now().toISOString() })
    const rows = await app.database.read(caller.organizationId, (tx) => countAudit(tx, caller.organizationId, filter, mostRows))
    if (rows > mostRows)
      throw new AppError('unprocessable', `More than ${mostRows} entries: narrow them down with from and to.`, {
        details: { most: mostRows },
      })
    const agent = request.headers['user-agent']
    const from = { ip: request.ip, userAgent: agent?.slice(0, 512) ?? null }
    await noteExport(app.database, request.id, caller, from, { format, rows, ...filters })
    const right = watchRight(context.authenticate, request, 'audit:read', caller)
    reply.raw.once('close', right.stop)
    const day = app.now().toISOString().slice(0, 10)
    return reply
      .header('content-type', types[format])
      .header('content-disposition', `attachment; filename="audit-${day}.${format}"`)
      .header('cache-control', 'no-store')
      .send(Readable.from(linesOf(app.database, caller.organizationId, filter, format, right.signal)))
  })
}

async function noteExport(
  database: ServiceDatabase<DB>,
  requestId: string,
  { organizationId, actor }: Caller,
  from: { ip: string; userAgent: string | null },
  after: Record<string, unknown>,
): Promise<void> {
  const call = { requestId, actor, from, action: 'GET /v1/audit/export' }
  await database.commit({ organizationId, correlationId: requestId, call }, async (_tx, { audit }) =>
    audit({ ...exportEntry, before: null, after }),
  )
}

const columns = [
  'id',
  'kind',
  'at',
  'actor_kind',
  'actor_id',
  'action',
  'resource_type',
  'resource_id',
  'before',
  'after',
  'reason',
  'count',
  'ip',
  'user_agent',
  'request_id',
  'sequence',
]

async function* linesOf(
  database: ServiceDatabase<DB>,
  organizationId: string,
  filter: AuditFilter,
  format: 'ndjson' | 'csv',
  signal: AbortSignal,
): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(columns)
  let after: AuditPlace | undefined
  for (let sent = 0; sent < mostRows; sent += pageRows) {
    // Cut off in the middle, so that nobody takes the part for the whole.
    signal.throwIfAborted()
    const slice = { after, limit: pageRows }
    const rows = await database.read(organizationId, (tx) => listAudit(tx, organizationId, filter, slice))
    const write = format === 'csv' ? csvOf : (entry: Entry) => `${JSON.stringify(entry)}\n`
    if (rows.length > 0) yield rows.map((row) => write(entryView(row))).join('')
    after = rows.at(-1)
    if (rows.length < pageRows) return
  }
}

type Entry = ReturnType<typeof entryView>

function csvOf(entry: Entry): string {
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value))
  return csvLine([
    entry.id,
    entry.kind,
    entry.at,
    entry.actor.kind,
    entry.actor.id,
    entry.action,
    entry.resourceType,
    entry.resourceId,
    json(entry.before),
    json(entry.after),
    entry.reason,
    entry.count,
    entry.ip,
    entry.userAgent,
    entry.requestId,
    entry.sequence,
  ])
}
