import type { KeyRecord, Membership, OrganizationRecord } from '@parley/contracts'
import { sql } from 'kysely'
import type { Tx } from '../types.ts'

type AnyTx = Tx<never>

/** A public key that access tokens are signed with. */
export interface SigningKey {
  kid: string
  /** Ed25519 point in base64url. */
  x: string
  trustedUntil: string | null
}

export async function findMember(tx: AnyTx, organizationId: string, userId: string): Promise<Membership | undefined> {
  const { rows } = await sql<Membership>`select user_id, role, permissions, status, revision from identity_members
    where organization_id = ${organizationId} and user_id = ${userId}`.execute(tx)
  return rows[0]
}

/** Older revisions change nothing, so that an event and an answer about the same person may come in either order. */
export async function saveMember(tx: AnyTx, organizationId: string, member: Membership): Promise<void> {
  const { userId, role, permissions, status, revision } = member
  await sql`insert into identity_members as m (organization_id, user_id, role, permissions, status, revision)
    values (${organizationId}, ${userId}, ${role}, ${permissions}, ${status}, ${revision})
    on conflict (organization_id, user_id) do update
    set role = excluded.role, permissions = excluded.permissions, status = excluded.status, revision = excluded.revision
    where m.revision < excluded.revision`.execute(tx)
}

/** What a call needs to know of the organization it is for. */
export type OrganizationStanding = Pick<OrganizationRecord, 'organizationId' | 'status' | 'requireTwoFactor' | 'revision'>

export async function findOrganization(tx: AnyTx, organizationId: string): Promise<OrganizationStanding | undefined> {
  const { rows } = await sql<OrganizationStanding>`select organization_id, status, require_two_factor, revision
    from identity_organizations where organization_id = ${organizationId}`.execute(tx)
  return rows[0]
}

export async function saveOrganization(tx: AnyTx, organizationId: string, organization: OrganizationStanding): Promise<void> {
  const { status, requireTwoFactor = false, revision } = organization
  await sql`insert into identity_organizations as o (organization_id, status, require_two_factor, revision)
    values (${organizationId}, ${status}, ${requireTwoFactor}, ${revision})
    on conflict (organization_id) do update
    set status = excluded.status, require_two_factor = excluded.require_two_factor, revision = excluded.revision
    where o.revision < excluded.revision`.execute(tx)
}

interface KeyRow extends Omit<KeyRecord, 'previous' | 'expiresAt' | 'makerId'> {
  makerId: string | null
  makerTold: boolean
  previousHash: string | null
  previousUntil: Date | null
  expiresAt: Date | null
}

export async function findKey(tx: AnyTx, organizationId: string, keyId: string): Promise<KeyRecord | undefined> {
  const { rows } = await sql<KeyRow>`select key_id, hash, previous_hash, previous_until, scopes, per_minute, per_day, expires_at,
      maker_id, maker_told, status, revision from identity_keys where organization_id = ${organizationId} and key_id = ${keyId}`.execute(
    tx,
  )
  if (!rows[0]) return undefined
  const { previousHash, previousUntil, expiresAt, makerId, makerTold, ...rest } = rows[0]
  const previous = previousHash && previousUntil ? { hash: previousHash, until: previousUntil.toISOString() } : null
  return { ...rest, previous, expiresAt: expiresAt?.toISOString() ?? null, ...(makerTold ? { makerId } : {}) }
}

export async function saveKey(tx: AnyTx, organizationId: string, key: KeyRecord): Promise<void> {
  await sql`insert into identity_keys as k (organization_id, key_id, hash, previous_hash, previous_until, scopes, per_minute,
      per_day, expires_at, maker_id, maker_told, status, revision)
    values (${organizationId}, ${key.keyId}, ${key.hash}, ${key.previous?.hash ?? null}, ${key.previous?.until ?? null},
      ${key.scopes}, ${key.perMinute}, ${key.perDay}, ${key.expiresAt}, ${key.makerId ?? null}, ${key.makerId !== undefined},
      ${key.status}, ${key.revision})
    on conflict (organization_id, key_id) do update
    set hash = excluded.hash, previous_hash = excluded.previous_hash, previous_until = excluded.previous_until,
      scopes = excluded.scopes, per_minute = excluded.per_minute, per_day = excluded.per_day, expires_at = excluded.expires_at,
      maker_id = excluded.maker_id, maker_told = excluded.maker_told, status = excluded.status, revision = excluded.revision
    where k.revision < excluded.revision or (k.revision = excluded.revision and excluded.maker_told and not k.maker_told)`.execute(
    tx,
  )
}

export async function findSigningKey(tx: AnyTx, kid: string): Promise<SigningKey | undefined> {
  const { rows } = await sql<{ kid: string; x: string; trustedUntil: Date | null }>`
    select kid, x, trusted_until from identity_signing_keys where kid = ${kid}`.execute(tx)
  return rows[0] && { ...rows[0], trustedUntil: rows[0].trustedUntil?.toISOString() ?? null }
}

/** Trust only ever ends, or ends sooner: an answer that was on its way when the key was given up does not bring it back. */
export async function saveSigningKey(tx: AnyTx, key: SigningKey): Promise<void> {
  await sql`insert into identity_signing_keys as s (kid, x, trusted_until) values (${key.kid}, ${key.x}, ${key.trustedUntil})
    on conflict (kid) do update set trusted_until = least(s.trusted_until, excluded.trusted_until)
    where s.trusted_until is distinct from least(s.trusted_until, excluded.trusted_until)`.execute(tx)
}

export async function isSessionRevoked(tx: AnyTx, sessionId: string): Promise<boolean> {
  const { rows } = await sql`select 1 from identity_revoked_sessions where session_id = ${sessionId}`.execute(tx)
  return rows.length > 0
}

export async function saveRevokedSession(tx: AnyTx, sessionId: string, forgetAfter: string): Promise<void> {
  await sql`insert into identity_revoked_sessions (session_id, forget_after) values (${sessionId}, ${forgetAfter})
    on conflict do nothing`.execute(tx)
}

/** Takes away what no token can name any more: sessions whose tokens have expired, and keys given up a day ago. */
export const forgetStatement = `with sessions as (delete from identity_revoked_sessions where forget_after < now())
  delete from identity_signing_keys where trusted_until < now() - interval '1 day'`
