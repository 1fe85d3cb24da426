import type { Tx } from '@parley/runtime'
import { createHash, randomBytes } from 'node:crypto'
import type { DB } from './types.ts'

const codesAtOnce = 10
// Crockford's letters: none of them is taken for another when it is copied from paper.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** 120 random bits: from 112 on a fast hash is right even if the table is stolen (ASVS 5.0, 6.5.2). */
function newCode(): string {
  const letters = Array.from(randomBytes(24), (byte) => alphabet[byte % 32]).join('')
  return letters.replace(/(.{4})(?=.)/g, '$1-')
}

const hashOf = (userId: string, code: string) =>
  createHash('sha256')
    .update(userId)
    .update(code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1'))
    .digest()

/** Ten new codes instead of those before; they are shown once. */
export async function replaceRecoveryCodes(tx: Tx<DB>, userId: string): Promise<string[]> {
  const codes = Array.from({ length: codesAtOnce }, newCode)
  await deleteRecoveryCodes(tx, userId)
  await tx
    .insertInto('recoveryCodes')
    .values(codes.map((code) => ({ userId, codeHash: hashOf(userId, code) })))
    .execute()
  return codes
}

export async function deleteRecoveryCodes(tx: Tx<DB>, userId: string): Promise<void> {
  await tx.deleteFrom('recoveryCodes').where('userId', '=', userId).execute()
}

/** Uses a code up; false when it is none of theirs, or was used. */
export async function takeRecoveryCode(tx: Tx<DB>, userId: string, code: string, now: Date): Promise<boolean> {
  const taken = await tx
    .updateTable('recoveryCodes')
    .set({ usedAt: now })
    .where('userId', '=', userId)
    .where('codeHash', '=', hashOf(userId, code))
    .where('usedAt', 'is', null)
    .executeTakeFirstOrThrow()
  return taken.numUpdatedRows === 1n
}

export async function countRecoveryCodes(tx: Tx<DB>, userId: string): Promise<number> {
  const { left } = await tx
    .selectFrom('recoveryCodes')
    .select((eb) => eb.fn.countAll<string>().as('left'))
    .where('userId', '=', userId)
    .where('usedAt', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(left)
}
