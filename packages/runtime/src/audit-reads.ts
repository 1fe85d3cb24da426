import { readAudited } from '@parley/contracts'
import { createBatcher } from './batcher.ts'
import { AppError, classify } from './errors.ts'
import type { Logger } from './log.ts'
import type { ServiceDatabase } from './types.ts'
import { auditedCall, type Call, insertOutbox, type OutboxRow, outboxRow } from './unit.ts'

/** A call that read personal data. */
export interface AuditedRead {
  organizationId: string
  call: Call
  /** `customer`, `message`: what the route says of itself. */
  resourceType: string
  resourceId: string | null
  /** Rows in the answer. */
  count: number
}

/** Resolves when the read is stored; throws AppError unavailable when it cannot be: then the answer must not go out. */
export type RecordRead = (read: AuditedRead) => Promise<void>

const largestGroup = 64

/**
 * Stores who reads personal data before the answer goes out. Calls that come together share a commit, and three commits are under way
 * at most, so that a busy hour of reading costs few of them.
 */
export function createReadAudit(
  source: string,
  options: { transaction: ServiceDatabase<never>['transaction']; wake(): void; log: Logger; now(): number },
): RecordRead {
  /** One answer for each: undefined when it is stored, else why not. */
  async function store(reads: AuditedRead[]): Promise<({ error: unknown } | undefined)[]> {
    try {
      await commit(reads.map((read) => rowOf(source, read, new Date(options.now()))))
      return reads.map(() => undefined)
    } catch (error) {
      // While the database is away, each of them alone would only wait out the same time-out once more.
      if (reads.length === 1 || classify(error) === 'outage') return reads.map(() => ({ error }))
      throw error
    }
  }

  async function commit(rows: OutboxRow[]): Promise<void> {
    const groups = [...Map.groupBy(rows, (row) => row.organizationId)]
    await options.transaction(null, async (session) => {
      for (const [organizationId, group] of groups) {
        session.useOrganization(organizationId)
        insertOutbox(session, group)
      }
    })
    options.wake()
  }

  const batcher = createBatcher({ maxItems: largestGroup, maxConcurrent: 3, run: store })
  return async (read) => {
    const failed = await batcher.add(read)
    if (!failed) return
    options.log.error(
      { err: failed.error, action: read.call.action },
      'a read of personal data could not be noted and was not answered',
    )
    throw new AppError('unavailable', 'This cannot be shown now, because the reading could not be noted. Try again.', {
      cause: failed.error,
    })
  }
}

function rowOf(source: string, { organizationId, call, ...read }: AuditedRead, at: Date): OutboxRow {
  const origin = { organizationId, correlationId: call.requestId, causationId: undefined, call }
  const entry = { ...auditedCall(source, origin, at), action: call.action, ...read }
  return outboxRow(source, origin, readAudited, entry, undefined, at)
}

/** What an answer says of how much was read: the rows of a list, or one. */
export function rowsIn(answer: unknown): number {
  const items = (answer as { items?: unknown } | null | undefined)?.items
  return Array.isArray(items) ? items.length : 1
}

/** Which one was read, when the path names one. */
export function resourceIn(params: unknown): string | null {
  const id = (params as { id?: unknown } | null | undefined)?.id
  return typeof id === 'string' ? id.slice(0, 256) : null
}
