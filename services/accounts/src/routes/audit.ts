import { Actor, Id, Timestamp } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { readCursor, writeCursor } from '../audit-cursor.ts'
import { type AuditFilter, type ListedEntry, listAudit } from '../db/audit-list.ts'
import { genesis } from '../rules/audit-chain.ts'
import { verifyAudit } from '../steps/verify-audit.ts'

const Kind = z.enum(['change', 'read'])
const moment = z.iso.datetime({ offset: true })
const Hash = z.string().regex(/^[0-9a-f]{64}$/)

/** What the list and the export can be narrowed down to. */
export const auditFilters = {
  kind: Kind.optional(),
  actor: z.string().min(1).max(64).optional().describe('The id of a person or key.'),
  action: z.string().min(1).max(200).optional().describe('As it is in the log: `PATCH /v1/members/:id`.'),
  resourceType: z.string().min(1).max(64).optional(),
  resourceId: z.string().min(1).max(256).optional(),
  from: moment.optional().describe('Not before.'),
  to: moment.optional().describe('Before.'),
}

const AuditEntry = z.object({
  id: Id,
  kind: Kind,
  at: Timestamp,
  actor: z.object({ kind: Actor.shape.kind, id: z.string() }),
  action: z.string(),
  resourceType: z.string(),
  /** Null for a list that was read. */
  resourceId: z.string().nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
  reason: z.string().nullable(),
  /** Rows that were read; null for a change. */
  count: z.int().nullable(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  requestId: z.string(),
  /** Its place in the chain; null for a read, and for a change that is not sealed yet. */
  sequence: z.int().nullable(),
})

export const getAudit = route({
  method: 'GET',
  path: '/v1/audit',
  summary: 'What was changed and who read personal data, the latest first.',
  scope: 'audit:read',
  personalData: 'audit_entry',
  query: z.strictObject({
    ...auditFilters,
    limit: z.coerce.number().int().min(1).max(100).default(25),
    cursor: z.string().max(200).optional().describe('`next` of the page before.'),
  }),
  reply: z.object({ items: z.array(AuditEntry), next: z.string().nullable() }),
  async run({ query: { limit, cursor, ...filters }, caller, app, read }) {
    const { organizationId } = caller
    const after = cursor === undefined ? undefined : readCursor(app, organizationId, cursor)
    const rows = await read((tx) => listAudit(tx, organizationId, filterOf(filters), { after, limit: limit + 1 }))
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return { items: shown.map(entryView), next: last ? writeCursor(app, organizationId, last) : null }
  },
})

export const getAuditVerification = route({
  method: 'GET',
  path: '/v1/audit/verify',
  summary: 'Compute the chain of changes anew and name the first entry that was edited, deleted, put in, moved or cut off.',
  scope: 'audit:read',
  perMinute: 60,
  query: z
    .strictObject({
      after: z.coerce
        .number()
        .int()
        .min(0)
        .default(0)
        .describe('Begin behind this link: `next` of the answer before, or a head that you noted down.'),
      hash: Hash.optional().describe('The hash that this link had.'),
    })
    .refine(({ after, hash }) => after > 0 === (hash !== undefined), 'after and hash go together.'),
  reply: z.object({
    /** False when a link is broken. */
    ok: z.boolean(),
    /** False when there is more: go on with `next`. */
    complete: z.boolean(),
    checked: z.int(),
    /** Note it down elsewhere: later it proves that nothing up to it was written anew. */
    head: z.object({ sequence: z.int(), hash: Hash, sealedAt: Timestamp }).nullable(),
    next: z.object({ after: z.int(), hash: Hash }).nullable(),
    broken: z
      .object({
        kind: z.enum(['edited', 'deleted', 'reordered', 'inserted', 'truncated', 'rewritten', 'unlinked']),
        sequence: z.int(),
        entryId: Id.nullable(),
      })
      .nullable(),
    /** Changes that wait to be sealed, and since when. */
    unsealed: z.int(),
    unsealedSince: Timestamp.nullable(),
  }),
  async run({ query, caller, read }) {
    const start = query.hash === undefined ? genesis : { sequence: query.after, hash: query.hash }
    return verifyAudit(read, caller.organizationId, start)
  },
})

export function filterOf(
  filters: {
    [Name in keyof typeof auditFilters]?: z.infer<(typeof auditFilters)[Name]> | undefined
  },
): AuditFilter {
  const { from, to, ...rest } = filters
  if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to))
    throw new AppError('invalid', 'query.to: must be later than from.')
  return { ...rest, from: from === undefined ? undefined : new Date(from), to: to === undefined ? undefined : new Date(to) }
}

export function entryView(row: ListedEntry): z.infer<typeof AuditEntry> {
  return {
    id: row.entryId,
    kind: row.kind,
    at: row.at.toISOString(),
    actor: { kind: row.actorKind, id: row.actorId },
    action: row.action,
    resourceType: row.resourceType,
    resourceId: row.resourceId,
    before: row.before,
    after: row.after,
    reason: row.reason,
    count: row.rowCount,
    ip: row.ip,
    userAgent: row.userAgent,
    requestId: row.requestId,
    sequence: row.sequence === null ? null : Number(row.sequence),
  }
}
