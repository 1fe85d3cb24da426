import type { Tx } from '@parley/runtime'
import { decideAttempt, paces } from '../rules/sign-in-attempts.ts'
import type { DB } from './types.ts'

/** Who tries: `subject` is a keyed hash, `pace` how patient we are with it. */
export interface Subject {
  pace: keyof typeof paces
  subject: string
}

/**
 * Counts one try of all of these, or of none when one of them must wait; resolves with the longest wait then. The rows are locked in
 * one order, and before they are read: tries made at once are counted one after the other.
 */
export async function takeAttempt(tx: Tx<DB>, subjects: readonly Subject[], now: Date): Promise<{ waitMs: number } | undefined> {
  const ordered = subjects.toSorted((a, b) => (a.subject < b.subject ? -1 : 1))
  const rows = await tx
    .insertInto('signInAttempts')
    .values(ordered.map(({ subject }) => ({ subject, failures: 0, lastAt: now, blockedUntil: now })))
    // Nothing changes, but the row is locked and comes back, whether it was there or not.
    .onConflict((conflict) => conflict.column('subject').doUpdateSet((eb) => ({ failures: eb.ref('signInAttempts.failures') })))
    .returningAll()
    .execute()
  const verdicts = ordered.map(({ subject, pace }) => ({
    subject,
    verdict: decideAttempt(
      paces[pace],
      rows.find((row) => row.subject === subject),
      now,
    ),
  }))
  const waits = verdicts.flatMap(({ verdict }) => (verdict.allowed ? [] : [verdict.waitMs]))
  if (waits.length > 0) return { waitMs: Math.max(...waits) }
  for (const { subject, verdict } of verdicts) {
    if (verdict.allowed) await tx.updateTable('signInAttempts').set(verdict.next).where('subject', '=', subject).execute()
  }
  return undefined
}

/** Somebody proved who they are: the tries of their account or device are forgotten. */
export async function forgetAttempts(tx: Tx<DB>, subject: string): Promise<void> {
  await tx.deleteFrom('signInAttempts').where('subject', '=', subject).execute()
}

/** Takes back one try, and with it the wait that it brought. */
export async function returnAttempt(tx: Tx<DB>, subject: string): Promise<void> {
  await tx
    .updateTable('signInAttempts')
    .set((eb) => ({ failures: eb.fn<number>('greatest', [eb('failures', '-', 1), eb.lit(0)]), blockedUntil: new Date(0) }))
    .where('subject', '=', subject)
    .execute()
}

export async function deleteOldAttempts(tx: Tx<DB>, before: Date, limit: number): Promise<number> {
  const gone = await tx
    .deleteFrom('signInAttempts')
    .where('subject', 'in', (eb) => eb.selectFrom('signInAttempts').select('subject').where('lastAt', '<', before).limit(limit))
    .executeTakeFirstOrThrow()
  return Number(gone.numDeletedRows)
}
