import type { Tx } from '@parley/runtime'
import type { DB } from './types.ts'

/** Devices remembered for one person; the least used goes when another comes. */
const mostDevices = 50

/** True when this person signed in from this device before, not longer ago than `since`. */
export async function isKnownDevice(tx: Tx<DB>, userId: string, tokenHash: Buffer, since: Date): Promise<boolean> {
  const row = await tx
    .selectFrom('knownDevices')
    .select('userId')
    .where('tokenHash', '=', tokenHash)
    .where('userId', '=', userId)
    .where('lastUsedAt', '>', since)
    .executeTakeFirst()
  return row !== undefined
}

export async function rememberDevice(tx: Tx<DB>, userId: string, tokenHash: Buffer, at: Date): Promise<void> {
  await tx
    .insertInto('knownDevices')
    .values({ tokenHash, userId, lastUsedAt: at })
    .onConflict((conflict) => conflict.column('tokenHash').doUpdateSet({ lastUsedAt: at }))
    .execute()
  await tx
    .deleteFrom('knownDevices')
    .where('tokenHash', 'in', (eb) =>
      eb
        .selectFrom('knownDevices')
        .select('tokenHash')
        .where('userId', '=', userId)
        .orderBy('lastUsedAt', 'desc')
        .offset(mostDevices),
    )
    .execute()
}

/** After a reset of the password nobody is known any more. */
export async function forgetDevices(tx: Tx<DB>, userId: string): Promise<void> {
  await tx.deleteFrom('knownDevices').where('userId', '=', userId).execute()
}
