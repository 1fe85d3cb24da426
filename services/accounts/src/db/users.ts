import type { Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import { randomUUIDv7 } from 'node:crypto'
import type { Users } from './people-types.ts'
import type { DB } from './types.ts'

export type User = Selectable<Users>

export async function findUser(tx: Tx<DB>, userId: string): Promise<User | undefined> {
  return tx.selectFrom('users').selectAll().where('userId', '=', userId).executeTakeFirst()
}

/** The person, locked until the commit. */
export async function lockUser(tx: Tx<DB>, userId: string): Promise<User | undefined> {
  return tx.selectFrom('users').selectAll().where('userId', '=', userId).forUpdate().executeTakeFirst()
}

/** Addresses are compared without regard to case: no mail system that people use tells two of them apart by it. */
export async function findUserByEmail(tx: Tx<DB>, email: string): Promise<User | undefined> {
  return tx.selectFrom('users').selectAll().where(sql<string>`lower(email)`, '=', email.toLowerCase()).executeTakeFirst()
}

export interface NewUser {
  email: string
  emailVerifiedAt: Date | null
  passwordHash?: string | null
  displayName?: string | null
  locale?: string | null
  timezone?: string | null
}

/** Makes a person, or finds the one who has this address; `created` says which. */
export async function findOrCreateUser(tx: Tx<DB>, fresh: NewUser): Promise<{ user: User; created: boolean }> {
  const created = await tx
    .insertInto('users')
    .values({
      userId: randomUUIDv7(),
      email: fresh.email,
      emailVerifiedAt: fresh.emailVerifiedAt,
      passwordHash: fresh.passwordHash ?? null,
      passwordChangedAt: fresh.passwordHash == null ? null : sql<Date>`now()`,
      displayName: fresh.displayName ?? null,
      locale: fresh.locale ?? null,
      timezone: fresh.timezone ?? null,
    })
    .onConflict((conflict) => conflict.expression(sql`lower(email)`).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (created !== undefined) return { user: created, created: true }
  const user = await findUserByEmail(tx, fresh.email)
  // Rows of users are never deleted, so the one that was in the way is there.
  if (user === undefined) throw new Error('The address is taken and nobody has it.')
  return { user, created: false }
}

export async function updateUser(tx: Tx<DB>, userId: string, change: Updateable<Users>): Promise<User> {
  return tx
    .updateTable('users')
    .set({ ...change, updatedAt: sql<Date>`now()` })
    .where('userId', '=', userId)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Counts a sign-in; the address is proved by the link that came to it, or was before. */
export async function noteSignIn(tx: Tx<DB>, userId: string, at: Date, memberOf: string | null): Promise<User> {
  return tx
    .updateTable('users')
    .set((eb) => ({
      signInCount: eb('signInCount', '+', 1),
      lastSignInAt: at,
      lastActivityAt: at,
      ...(memberOf === null ? {} : { lastMemberOf: memberOf }),
    }))
    .where('userId', '=', userId)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Marks a time step of the second factor as used; false when it, or a later one, was used by then. */
export async function takeTotpStep(tx: Tx<DB>, userId: string, step: number): Promise<boolean> {
  const taken = await tx
    .updateTable('users')
    .set({ totpLastStep: step })
    .where('userId', '=', userId)
    .where((eb) => eb.or([eb('totpLastStep', 'is', null), eb('totpLastStep', '<', String(step))]))
    .executeTakeFirstOrThrow()
  return taken.numUpdatedRows === 1n
}
