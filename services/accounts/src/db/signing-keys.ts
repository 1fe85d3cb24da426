import { installationId, signingKeyChanged } from '@parley/contracts'
import {
  type CommitTools,
  isSealedWithOldKey,
  type JobRef,
  openText,
  SealBroken,
  type SealedPlace,
  type SealingKeys,
  sealText,
  type Tx,
} from '@parley/runtime'
import { type Selectable, sql } from 'kysely'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { z } from 'zod'
import { decideRotation, signingKeyAt } from '../rules/signing-keys.ts'
import type { SigningKeys } from './people-types.ts'
import type { DB } from './types.ts'

export type SigningKey = Selectable<SigningKeys>

/** What the job rotate-signing-keys is asked with; the job itself needs this file. */
export const rotateSigningKeysRef = { name: 'rotate-signing-keys', schema: z.object({}) } satisfies JobRef<Record<string, never>>

/** More than there ever are: one a month, and those of the last minutes. */
const mostKeys = 20

const placeOf = (kid: string): SealedPlace => ({
  organizationId: installationId,
  table: 'signing_keys',
  column: 'sealed_private',
  row: kid,
})

/** Keys whose tokens are taken now or will be, oldest first. */
export async function trustedSigningKeys(tx: Tx<DB>, now: Date): Promise<SigningKey[]> {
  return tx
    .selectFrom('signingKeys')
    .selectAll()
    .where((eb) => eb.or([eb('trustedUntil', 'is', null), eb('trustedUntil', '>', now)]))
    .orderBy('activeFrom')
    .limit(mostKeys)
    .execute()
}

/** The key that signs now, its private part as a PKCS #8 PEM. Throws SealBroken when neither of our sealing keys opens it. */
export async function currentSigningKey(
  tx: Tx<DB>,
  keys: SealingKeys,
  now: Date,
): Promise<{ kid: string; privatePem: string; until: Date | null } | undefined> {
  const all = await trustedSigningKeys(tx, now)
  const key = signingKeyAt(all, now)
  if (key === undefined || key.sealedPrivate === null) return undefined
  const next = all.find((other) => other.activeFrom > now)
  return { kid: key.kid, privatePem: openText(keys, placeOf(key.kid), key.sealedPrivate), until: next?.activeFrom ?? null }
}

/**
 * Does what is due: the first key, the next one before it signs, the end of the one before. The commit must be one of the installation.
 * Replicas that start together wait for each other here, so that they make one key and not three.
 */
export async function keepSigningKeys(tx: Tx<DB>, tools: CommitTools, keys: SealingKeys, now: Date): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('parley.accounts.signing-keys'))`.execute(tx)
  const all = await tx.selectFrom('signingKeys').selectAll().orderBy('activeFrom').limit(mostKeys).execute()
  const lost = await resealSigningKeys(tx, keys, all)
  const rotation = decideRotation(all, now, lost)
  if (rotation.create !== null) await createSigningKey(tx, tools, keys, { now, activeFrom: rotation.create })
  for (const { kid, trustedUntil } of rotation.retire) {
    const { x } = await tx
      .updateTable('signingKeys')
      .set({ trustedUntil, sealedPrivate: null })
      .where('kid', '=', kid)
      .returning('x')
      .executeTakeFirstOrThrow()
    tools.emit(signingKeyChanged, { kid, x, trustedUntil: trustedUntil.toISOString() })
    tools.audit({
      resourceType: 'signing_key',
      resourceId: kid,
      before: { trustedUntil: null },
      after: { trustedUntil },
      action: 'keep-signing-keys',
    })
  }
  if (rotation.forget.length > 0) await tx.deleteFrom('signingKeys').where('kid', 'in', rotation.forget).execute()
}

/**
 * After a change of the installation's key: seals private keys with the new one. Resolves with the ids of those that open with no key of
 * ours, which cannot sign any more: another one must, or nobody could sign in.
 */
async function resealSigningKeys(tx: Tx<DB>, keys: SealingKeys, all: readonly SigningKey[]): Promise<string[]> {
  const lost: string[] = []
  for (const { kid, sealedPrivate } of all) {
    if (sealedPrivate === null || !isSealedWithOldKey(keys, sealedPrivate)) continue
    try {
      const resealed = sealText(keys, placeOf(kid), openText(keys, placeOf(kid), sealedPrivate))
      await tx.updateTable('signingKeys').set({ sealedPrivate: resealed }).where('kid', '=', kid).execute()
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error
      lost.push(kid)
    }
  }
  return lost
}

async function createSigningKey(
  tx: Tx<DB>,
  tools: CommitTools,
  keys: SealingKeys,
  { now, activeFrom }: { now: Date; activeFrom: Date },
): Promise<void> {
  const pair = generateKeyPairSync('ed25519')
  const { x } = pair.publicKey.export({ format: 'jwk' })
  if (x === undefined) throw new Error('An Ed25519 key has no x.')
  // RFC 7638: the thumbprint names the key by what it is.
  const kid = createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url')
  const sealedPrivate = sealText(keys, placeOf(kid), pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  await tx.insertInto('signingKeys').values({ kid, x, sealedPrivate, createdAt: now, activeFrom }).execute()
  tools.emit(signingKeyChanged, { kid, x, trustedUntil: null })
  tools.audit({
    resourceType: 'signing_key',
    resourceId: kid,
    before: null,
    after: { activeFrom },
    action: 'keep-signing-keys',
  })
}
