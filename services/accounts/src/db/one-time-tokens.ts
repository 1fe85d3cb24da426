import type { Tx } from '@parley/runtime'
import type { Selectable } from 'kysely'
import type { OneTimeTokens, SignUpDetails, TokenPurpose } from './people-types.ts'
import type { DB } from './types.ts'

export type OneTimeToken = Selectable<OneTimeTokens>

export interface NewOneTimeToken {
  tokenHash: Buffer
  purpose: TokenPurpose
  userId: string | null
  email: string
  details?: SignUpDetails
  /** Of a link that only who asked for it may use: the hash of their secret, and of the code that is typed there. */
  bound?: { requestHash: Buffer; codeHash: string }
  createdAt: Date
  expiresAt: Date
}

export async function insertOneTimeToken(tx: Tx<DB>, { details, bound, ...fresh }: NewOneTimeToken): Promise<void> {
  await tx
    .insertInto('oneTimeTokens')
    .values({ ...fresh, ...bound, details: JSON.stringify(details ?? {}) })
    .execute()
}

/** A token that is still good for this purpose, without using it up. */
export async function findOneTimeToken(
  tx: Tx<DB>,
  purpose: TokenPurpose,
  tokenHash: Buffer,
  now: Date,
): Promise<OneTimeToken | undefined> {
  return findGood(tx, purpose, { tokenHash }, now)
}

/** As `findOneTimeToken`, by the request that asked for it. */
export async function findRequestedToken(
  tx: Tx<DB>,
  purpose: TokenPurpose,
  requestHash: Buffer,
  now: Date,
): Promise<OneTimeToken | undefined> {
  return findGood(tx, purpose, { requestHash }, now)
}

async function findGood(
  tx: Tx<DB>,
  purpose: TokenPurpose,
  named: { tokenHash: Buffer } | { requestHash: Buffer },
  now: Date,
): Promise<OneTimeToken | undefined> {
  return tx
    .selectFrom('oneTimeTokens')
    .selectAll()
    .where((token) => token.and(named))
    .where('purpose', '=', purpose)
    .where('usedAt', 'is', null)
    .where('expiresAt', '>', now)
    .executeTakeFirst()
}

/** Uses a token up; false when somebody else did, or its time is over. Of two at once, one succeeds. */
export async function takeOneTimeToken(tx: Tx<DB>, purpose: TokenPurpose, tokenHash: Buffer, now: Date): Promise<boolean> {
  const taken = await tx
    .updateTable('oneTimeTokens')
    // A sign-up's password hash has done its work by then.
    .set({ usedAt: now, details: '{}' })
    .where('tokenHash', '=', tokenHash)
    .where('purpose', '=', purpose)
    .where('usedAt', 'is', null)
    .where('expiresAt', '>', now)
    .executeTakeFirstOrThrow()
  return taken.numUpdatedRows === 1n
}

/** Uses up whatever else a person was sent for these purposes: one was enough. */
export async function spendOneTimeTokens(
  tx: Tx<DB>,
  userId: string,
  purposes: readonly TokenPurpose[],
  now: Date,
): Promise<void> {
  await tx
    .updateTable('oneTimeTokens')
    .set({ usedAt: now })
    .where('userId', '=', userId)
    .where('purpose', 'in', [...purposes])
    .where('usedAt', 'is', null)
    .execute()
}

export async function deleteOldTokens(tx: Tx<DB>, before: Date, limit: number): Promise<number> {
  const gone = await tx
    .deleteFrom('oneTimeTokens')
    .where('tokenHash', 'in', (eb) =>
      eb.selectFrom('oneTimeTokens').select('tokenHash').where('expiresAt', '<', before).limit(limit),
    )
    .executeTakeFirstOrThrow()
  return Number(gone.numDeletedRows)
}
