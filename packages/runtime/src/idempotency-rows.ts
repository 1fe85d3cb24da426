import type { Database, Session } from './db.ts'
import { AppError } from './errors.ts'
import { failUnless, isFailedGuard } from './guard.ts'
import type { DerivedKey } from './idempotency-key.ts'

/** A call that one request carries out; `id` is that request's own. */
export interface Claim extends DerivedKey {
  organizationId: string
  id: string
}

export interface IdempotencyRow {
  request_mac: string
  state: 'started' | 'carried out' | 'answered'
  claim: string
  status: number | null
  sealed_answer: string | null
  /** Its request had more time than any call takes. */
  late: boolean
  expired: boolean
}

/** A call that was started and not carried out within this time is anybody's. */
export const lateSeconds = 30
const mine = 'organization_id = $1 and key_hash = $2'

/** A new row, or one that nobody will finish; otherwise what is there, or undefined when it went meanwhile. */
export function takeRow(database: Database<never>, claim: Claim): Promise<'ours' | IdempotencyRow | undefined> {
  const place = [claim.organizationId, claim.keyHash]
  return database.transaction(claim.organizationId, async (session) => {
    const fresh = await session.query(
      `insert into idempotency_keys (organization_id, key_hash, request_mac, state, claim) values ($1, $2, $3, 'started', $4)
       on conflict do nothing returning 1`,
      [...place, claim.requestMac, claim.id],
    )
    if (fresh.length > 0) return 'ours'
    const [row] = await session.query<IdempotencyRow>(
      `select request_mac, state, claim, status, sealed_answer, created_at < now() - interval '${lateSeconds} seconds' as late,
         created_at < now() - interval '24 hours' as expired
       from idempotency_keys where ${mine}`,
      place,
    )
    if (!row || !(row.expired || (row.late && row.state === 'started'))) return row
    const taken = await session.query(
      `update idempotency_keys set request_mac = $3, state = 'started', claim = $4, status = null, sealed_answer = null, created_at = now()
       where ${mine} and claim = $5 and state = $6 returning 1`,
      [...place, claim.requestMac, claim.id, row.claim, row.state],
    )
    return taken.length > 0 ? 'ours' : undefined
  })
}

export async function saveAnswer(database: Database<never>, claim: Claim, status: number, sealed: string): Promise<void> {
  await database.transaction(claim.organizationId, (session) =>
    session.query(
      `update idempotency_keys set state = 'answered', status = $4, sealed_answer = $5 where ${mine} and claim = $3`,
      [claim.organizationId, claim.keyHash, claim.id, status, sealed],
    ),
  )
}

/** Frees the key; without `evenCarriedOut`, only when no commit has marked it. Waits for a commit that is still being decided. */
export async function freeRow(database: Database<never>, claim: Claim, evenCarriedOut: boolean): Promise<void> {
  await database.transaction(claim.organizationId, (session) =>
    session.query(`delete from idempotency_keys where ${mine} and claim = $3 and (state = 'started' or $4)`, [
      claim.organizationId,
      claim.keyHash,
      claim.id,
      evenCarriedOut,
    ]),
  )
}

/**
 * Writes into the session's transaction that the call is carried out. The transaction fails when the call is no longer ours: it took
 * so long that another request has taken it over.
 */
export function markRow(session: Session<never>, claim: Claim, organizationId: string): void {
  const elsewhere = organizationId !== claim.organizationId
  if (elsewhere) session.useOrganization(claim.organizationId)
  session.send(
    `with marked as (update idempotency_keys set state = 'carried out' where ${mine} and claim = $3 returning 1)
     ${failUnless('exists (select 1 from marked)')}`,
    [claim.organizationId, claim.keyHash, claim.id],
    (error) =>
      isFailedGuard(error)
        ? new AppError('conflict', 'This took too long, and another call with the same Idempotency-Key has taken it over.')
        : error,
  )
  if (elsewhere) session.useOrganization(organizationId)
}
