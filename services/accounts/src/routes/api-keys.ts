import { Id, Permission, Timestamp, WrittenText } from '@parley/contracts'
import { AppError, createKeySecret, createOrganizationKeyId, pageOf, pageQuery } from '@parley/runtime'
import type { Updateable } from 'kysely'
import { z } from 'zod'
import { route } from '../app.ts'
import { type ApiKey, countActiveKeys, findKey, insertKey, listKeys, lockKey, revokeKey, updateKey } from '../db/api-keys.ts'
import { lockMembers } from '../db/members.ts'
import { findOrganization } from '../db/organizations.ts'
import type { ApiKeys } from '../db/types.ts'
import { behind, managerOf, personOf } from '../manager.ts'
import { Line } from '../organization-fields.ts'
import { beyond, mostKeys, overlapHours, refuseExpiry, rotateSecrets, stateOf } from '../rules/api-key.ts'

const KeyView = z.object({
  keyId: z.string(),
  name: z.string(),
  /** The part of the key that may be shown: it says which key this is. */
  prefix: z.string(),
  lastFour: z.string(),
  scopes: z.array(Permission),
  perMinute: z.int().nullable(),
  perDay: z.int().nullable(),
  expiresAt: Timestamp.nullable(),
  state: z.enum(['active', 'expired', 'revoked']),
  agentId: Id.nullable(),
  /** Until then the secret from before the last rotation opens too. */
  previousUntil: Timestamp.nullable(),
  createdBy: z.string(),
  /** The member whom it speaks for: it may never do more than they may. Null: the operator made it. */
  makerId: Id.nullable(),
  createdAt: Timestamp,
  rotatedAt: Timestamp.nullable(),
  revokedAt: Timestamp.nullable(),
  revokedBy: z.string().nullable(),
  /** Both to the minute, roughly: keys report what they were used for once a minute. */
  lastUsedAt: Timestamp.nullable(),
  totalRequests: z.int(),
  revision: z.int(),
})
const ShownKey = KeyView.extend({ key: z.string().describe('Shown this once; it cannot be had again.') })

const OneKey = z.strictObject({ keyId: z.string().regex(/^[0-9A-Za-z]{12,64}$/) })
const Scopes = z
  .array(Permission)
  .min(1)
  .max(100)
  .transform((scopes) => [...new Set(scopes)].sort())
const PerMinute = z.int().min(1).max(1_000_000).nullable().describe('Requests; null: no limit of its own.')
const PerDay = z
  .int()
  .min(1)
  .max(1_000_000_000)
  .nullable()
  .describe('Requests from midnight to midnight UTC; null: no limit of its own.')
const Expiry = Timestamp.nullable()
const Agent = Id.nullable().describe('The agent it is meant for: a note, no limit of what it may reach.')

export const postApiKey = route({
  method: 'POST',
  path: '/v1/api-keys',
  summary: 'Make an API key. Its scopes are permissions that you have yourself; the key is shown once.',
  scope: 'api-keys:write',
  perMinute: 30,
  refuses: { not_found: 'There is no such organization.', conflict: 'An organization has 100 active keys at most: revoke one.' },
  body: z.strictObject({
    name: Line(100),
    scopes: Scopes,
    perMinute: PerMinute.default(600),
    perDay: PerDay.default(100_000),
    expiresAt: Expiry.default(null),
    agentId: Agent.default(null),
  }),
  reply: ShownKey,
  status: 201,
  async run({ body, caller, app, commit }) {
    const { organizationId } = caller
    // A key that leaked must not be able to make another one that nobody knows of.
    if (caller.actor.kind === 'key') throw new AppError('forbidden', 'A key makes no keys: sign in to make one.')
    const expiresAt = expiryOf(body.expiresAt, app.now())
    const keyId = createOrganizationKeyId(organizationId)
    const { key, hash, lastFour } = createKeySecret(keyId)
    const stored = await commit(async (tx, tools) => {
      if (!(await findOrganization(tx, organizationId))) throw new AppError('not_found', 'There is no such organization.')
      // The owners are locked with it, so that two calls at once cannot both be the last one that fits.
      const { permissions } = managerOf(caller, await lockMembers(tx, organizationId, behind(caller)))
      assertWithin(permissions, body.scopes)
      if ((await countActiveKeys(tx, organizationId)) >= mostKeys)
        throw new AppError('conflict', `An organization has ${mostKeys} active keys at most: revoke one.`)
      return insertKey(tx, tools, organizationId, {
        keyId,
        name: body.name,
        lastFour,
        hash,
        scopes: body.scopes,
        perMinute: body.perMinute,
        perDay: body.perDay,
        expiresAt,
        agentId: body.agentId,
        createdBy: caller.actor.id,
        createdByUser: caller.userId,
      })
    })
    return { ...view(stored, app.now()), key }
  },
})

export const getApiKeys = route({
  method: 'GET',
  path: '/v1/api-keys',
  summary: 'The keys of the organization, latest first; never what opens them.',
  scope: 'api-keys:read',
  query: z.strictObject({ ...pageQuery, status: z.enum(['active', 'revoked']).optional() }),
  reply: pageOf(KeyView),
  async run({ query: { page, limit, status }, caller, app, read }) {
    const { items, total } = await read((tx) =>
      listKeys(tx, caller.organizationId, { status, limit, offset: (page - 1) * limit }),
    )
    return { items: items.map((key) => view(key, app.now())), page, limit, total }
  },
})

export const getApiKey = route({
  method: 'GET',
  path: '/v1/api-keys/:keyId',
  summary: 'One key.',
  scope: 'api-keys:read',
  refuses: { not_found: 'No key with that id.' },
  params: OneKey,
  reply: KeyView,
  async run({ params, caller, app, read }) {
    const key = await read((tx) => findKey(tx, caller.organizationId, params.keyId))
    if (!key) throw noKey()
    return view(key, app.now())
  },
})

export const patchApiKey = route({
  method: 'PATCH',
  path: '/v1/api-keys/:keyId',
  summary: 'Change a key’s name, scopes, limits or end; it holds in every service within seconds.',
  scope: 'api-keys:write',
  refuses: { not_found: 'No key with that id.', conflict: 'This key is revoked: make a new one.' },
  params: OneKey,
  body: z
    .strictObject({
      name: Line(100),
      scopes: Scopes,
      perMinute: PerMinute,
      perDay: PerDay,
      expiresAt: Expiry,
      agentId: Agent,
    })
    .partial(),
  reply: KeyView,
  async run({ params, body: { expiresAt, ...rest }, caller, app, commit }) {
    if (caller.actor.kind === 'key') throw new AppError('forbidden', 'A key changes no keys: sign in to do it.')
    const now = app.now()
    const change: Updateable<ApiKeys> = named({
      ...rest,
      expiresAt: expiresAt === undefined ? undefined : expiryOf(expiresAt, now),
    })
    const key = await commit(async (tx, tools) => {
      const { permissions } = managerOf(caller, await lockMembers(tx, caller.organizationId, behind(caller)))
      const before = openKey(await lockKey(tx, caller.organizationId, params.keyId))
      // Whoever may change a key could also have made it: otherwise a longer life or a higher limit were a way around that.
      assertWithin(permissions, [...before.scopes, ...(rest.scopes ?? [])])
      return Object.keys(change).length === 0 ? before : updateKey(tx, tools, before, change)
    })
    return view(key, now)
  },
})

export const rotateApiKey = route({
  method: 'POST',
  path: '/v1/api-keys/:keyId/rotate',
  summary:
    'Give a key a new secret, shown once, good within seconds; the one before opens for another 24 hours unless you say otherwise.',
  scope: 'api-keys:write',
  perMinute: 30,
  refuses: { not_found: 'No key with that id.', conflict: 'This key is revoked: make a new one.' },
  params: OneKey,
  body: z.strictObject({ overlapHours: z.int().min(0).max(overlapHours.most).default(overlapHours.usual) }),
  reply: ShownKey,
  async run({ params: { keyId }, body, caller, app, commit }) {
    // A key may renew itself, as programs do, and no other one.
    if (caller.actor.kind === 'key' && caller.actor.id !== keyId)
      throw new AppError('forbidden', 'A key rotates only itself: sign in to rotate another one.')
    const now = app.now()
    const { key, hash, lastFour } = createKeySecret(keyId)
    const stored = await commit(async (tx, tools) => {
      const { permissions } = managerOf(caller, await lockMembers(tx, caller.organizationId, behind(caller)))
      const before = openKey(await lockKey(tx, caller.organizationId, keyId))
      // Its secret is all that it may: who lacks a part of that would gain it here.
      assertWithin(permissions, before.scopes)
      const secrets = rotateSecrets(before.hash, hash, now, body.overlapHours)
      return updateKey(tx, tools, before, { ...secrets, lastFour, rotatedAt: now })
    })
    return { ...view(stored, now), key }
  },
})

export const adoptApiKey = route({
  method: 'POST',
  path: '/v1/api-keys/:keyId/adopt',
  summary: 'Take a key over from who made it: from then on it speaks for you. One whose maker left opens nothing before.',
  scope: 'api-keys:write',
  refuses: { not_found: 'No key with that id.', conflict: 'This key is revoked: make a new one.' },
  params: OneKey,
  body: z.strictObject({}),
  reply: KeyView,
  async run({ params: { keyId }, caller, app, commit }) {
    const userId = personOf(caller)
    const key = await commit(async (tx, tools) => {
      const { permissions } = managerOf(caller, await lockMembers(tx, caller.organizationId, behind(caller)))
      const before = openKey(await lockKey(tx, caller.organizationId, keyId))
      assertWithin(permissions, before.scopes)
      return updateKey(tx, tools, before, { createdByUser: userId })
    })
    return view(key, app.now())
  },
})

export const revokeApiKey = route({
  method: 'POST',
  path: '/v1/api-keys/:keyId/revoke',
  summary: 'End a key for good; every service refuses it within seconds.',
  scope: 'api-keys:write',
  refuses: { not_found: 'No key with that id.' },
  params: OneKey,
  body: z.strictObject({ reason: WrittenText(500).optional() }),
  reply: KeyView,
  async run({ params, body, caller, app, commit }) {
    const now = app.now()
    const key = await commit(async (tx, tools) => {
      const before = await lockKey(tx, caller.organizationId, params.keyId)
      if (!before) throw noKey()
      if (before.status === 'revoked') return before
      return revokeKey(tx, tools, before, { by: caller.actor.id, at: now, reason: body.reason ?? null })
    })
    return view(key, now)
  },
})

const noKey = () => new AppError('not_found', 'No key with that id.')

function openKey(key: ApiKey | undefined): ApiKey {
  if (!key) throw noKey()
  if (key.status === 'revoked') throw new AppError('conflict', 'This key is revoked: make a new one.')
  return key
}

function assertWithin(permissions: ReadonlySet<Permission>, scopes: readonly Permission[]): void {
  const lacking = beyond(permissions, scopes)
  if (lacking.length > 0)
    throw new AppError('forbidden', 'A key may do no more than who makes it.', { details: { lacking: [...new Set(lacking)] } })
}

function expiryOf(text: string | null, now: Date): Date | null {
  const expiresAt = text === null ? null : new Date(text)
  const refusal = refuseExpiry(expiresAt, now)
  if (refusal === 'past') throw new AppError('invalid', 'body.expiresAt: is past.')
  if (refusal === 'too_far') throw new AppError('invalid', 'body.expiresAt: is more than five years from now.')
  return expiresAt
}

const named = <T extends object>(values: T) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

function view(key: ApiKey, now: Date): z.infer<typeof KeyView> {
  const { keyId, name, lastFour, scopes, perMinute, perDay, agentId, createdBy, revokedBy, revision } = key
  return {
    keyId,
    name,
    prefix: `ply_live_${keyId}`,
    lastFour,
    scopes,
    perMinute,
    perDay,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    state: stateOf(key, now),
    agentId,
    previousUntil: key.previousUntil !== null && key.previousUntil > now ? key.previousUntil.toISOString() : null,
    createdBy,
    makerId: key.createdByUser,
    createdAt: key.createdAt.toISOString(),
    rotatedAt: key.rotatedAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    revokedBy,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    totalRequests: Number(key.totalRequests),
    revision,
  }
}
