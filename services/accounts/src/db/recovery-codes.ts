import type { Tx } from '@parley/runtime'
import { createHash } from 'node:crypto'
import { newCode, plainCode } from '../copied-codes.ts'
import type { DB } from './types.ts'

const codesAtOnce = 10
/** 120 random bits: from 112 on a fast hash is right even if the table is stolen (ASVS 5.0, 6.5.2). */
const letters = 24

const hashOf = (userId: string, code: string) => createHash('sha256').update(userId).update(plainCode(code)).digest()

/** Ten new codes instead of those before; they are shown once. */
export async function replaceRecoveryCodes(tx: Tx<DB>, userId: string): Promise<string[]> {
  const codes = Array.from({ length: codesAtOnce }, () => newCode(letters))
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
