import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { KeyId, Id, ProviderName, Timestamp, WrittenText } from '@parley/contracts'
import { AppError, pageOf, pageQuery, type SealingKeys } from '@parley/runtime'
import type { Updateable } from 'kysely'
import { z } from 'zod'
import { route } from '../app.ts'
import { insertSource, listSources, lockSource, sealSourceSecret, type Source, updateSource, wiped } from '../db/sources.ts'
import type { WebhookSources } from '../db/types.ts'
import { needsOf } from '../rules/source-secrets.ts'
import { hashToken, makeToken } from '../token.ts'

const Status = z.enum(['active', 'disabled'])

const SourceView = z.object({
  id: Id,
  provider: ProviderName,
  accountId: z.string().nullable(),
  name: z.string(),
  status: Status,
  headerName: z.string().nullable(),
  hasSigningSecret: z.boolean(),
  /** The connection that it was opened for, and is changed with; null: it stands by itself. */
  connectionId: Id.nullable(),
  /** To the minute. */
  lastReceivedAt: Timestamp.nullable(),
  createdAt: Timestamp,
})

/** What is shown once and cannot be had again. */
const Shown = SourceView.extend({
  /** The address to give the provider, after this system's host. Null when it did not change. */
  path: z.string().nullable(),
  /** The header that the provider must send with each delivery. Null when there is none, or it did not change. */
  header: z.object({ name: z.string(), value: z.string() }).nullable(),
})

const SigningSecret = z.string().trim().min(8).max(512)
const OneSource = z.strictObject({ id: Id })
const headerName = 'x-parley-secret'

export const createSource = route({
  method: 'POST',
  path: '/v1/webhook-sources',
  summary: 'Open a door for the webhooks of one account; its address and header are shown once.',
  scope: 'webhook-sources:write',
  body: z.strictObject({
    provider: ProviderName,
    accountId: KeyId.nullable()
      .default(null)
      .describe('Whapi channel, shop domain, ElevenLabs agent, Tavus conversation: deliveries about another one are refused.'),
    name: WrittenText(200),
    signingSecret: SigningSecret.optional().describe('The secret that the provider signs with.'),
  }),
  reply: Shown,
  status: 201,
  async run({ body, caller, app, commit }) {
    const { organizationId } = caller
    const needs = needsOf(body.provider)
    if (needs.account && body.accountId === null)
      throw new AppError('invalid', `body.accountId: a source of ${body.provider} needs one.`)
    if (needs.signingSecret !== (body.signingSecret !== undefined)) {
      throw new AppError(
        'invalid',
        `body.signingSecret: ${body.provider} ${needs.signingSecret ? 'signs, so its secret is needed' : 'signs nothing'}.`,
      )
    }
    const id = randomUUIDv7()
    const token = makeToken(organizationId, randomBytes(32))
    const header = needs.header ? newHeader(app.keys, organizationId, id) : null
    const { signingSecret } = body
    const source = await commit(async (tx, { audit }) => {
      const opened = await insertSource(tx, organizationId, {
        id,
        provider: body.provider,
        accountId: body.accountId,
        name: body.name,
        tokenHash: hashToken(token),
        headerName: header?.name ?? null,
        sealedHeaderCurrent: header?.sealed ?? null,
        sealedSigningCurrent:
          signingSecret === undefined ? null : sealSourceSecret(app.keys, organizationId, id, 'sealed_signing', signingSecret),
      })
      audit({ resourceType: 'webhook_source', resourceId: id, before: null, after: audited(opened) })
      return opened
    })
    return { ...view(source), path: pathOf(source, token), header: header && { name: header.name, value: header.value } }
  },
})

export const getSources = route({
  method: 'GET',
  path: '/v1/webhook-sources',
  summary: 'The doors for webhooks, latest first.',
  scope: 'webhook-sources:read',
  query: z.strictObject({ ...pageQuery, provider: ProviderName.optional(), status: Status.optional() }),
  reply: pageOf(SourceView),
  async run({ query: { page, limit, ...filter }, caller, read }) {
    const { items, total } = await read((tx) =>
      listSources(tx, caller.organizationId, { ...filter, limit, offset: (page - 1) * limit }),
    )
    return { items: items.map(view), page, limit, total }
  },
})

export const rotateSource = route({
  method: 'POST',
  path: '/v1/webhook-sources/:id/rotate',
  summary: 'Replace a secret: header and signing secrets overlap for 24 hours, an address ends at once.',
  scope: 'webhook-sources:write',
  refuses: {
    not_found: 'No webhook source with that id.',
    conflict: [
      'The source is disabled; open a new one.',
      'A source of shopify has no header.',
      'whapi signs nothing.',
      'The source belongs to a connection: change it there.',
    ],
  },
  params: OneSource,
  body: z.discriminatedUnion('what', [
    z.strictObject({ what: z.literal('header') }),
    z.strictObject({ what: z.literal('signing_secret'), signingSecret: SigningSecret }),
    z.strictObject({ what: z.literal('token') }),
  ]),
  reply: Shown,
  async run({ params: { id }, body, caller, app, commit }) {
    const { organizationId } = caller
    const token = makeToken(organizationId, randomBytes(32))
    const header = newHeader(app.keys, organizationId, id)
    const rotated = await commit(async (tx, { audit }) => {
      const source = own(await lockSource(tx, organizationId, id))
      if (source.status === 'disabled') throw new AppError('conflict', 'The source is disabled; open a new one.')
      // What was replaced is all there is to say of a secret.
      audit({ resourceType: 'webhook_source', resourceId: id, before: null, after: { replaced: body.what } })
      return updateSource(tx, organizationId, id, changeOf(source))
    })
    app.sources.clear()
    return {
      ...view(rotated),
      path: body.what === 'token' ? pathOf(rotated, token) : null,
      header: body.what === 'header' ? { name: header.name, value: header.value } : null,
    }

    function changeOf(source: Source): Updateable<WebhookSources> {
      const rotatedAt = app.now()
      switch (body.what) {
        case 'token':
          return { tokenHash: hashToken(token) }
        case 'header':
          if (source.sealedHeaderCurrent === null) throw new AppError('conflict', `A source of ${source.provider} has no header.`)
          return {
            sealedHeaderCurrent: header.sealed,
            sealedHeaderPrevious: source.sealedHeaderCurrent,
            headerRotatedAt: rotatedAt,
          }
        case 'signing_secret':
          if (source.sealedSigningCurrent === null) throw new AppError('conflict', `${source.provider} signs nothing.`)
          return {
            sealedSigningCurrent: sealSourceSecret(app.keys, organizationId, id, 'sealed_signing', body.signingSecret),
            sealedSigningPrevious: source.sealedSigningCurrent,
            signingRotatedAt: rotatedAt,
          }
      }
    }
  },
})

export const deleteSource = route({
  method: 'DELETE',
  path: '/v1/webhook-sources/:id',
  summary: 'Close a door for good: its address and secrets are forgotten, its receipts stay.',
  scope: 'webhook-sources:write',
  refuses: { not_found: 'No webhook source with that id.', conflict: 'The source belongs to a connection: change it there.' },
  params: OneSource,
  reply: SourceView,
  async run({ params: { id }, caller, app, commit }) {
    const closed = await commit(async (tx, { audit }) => {
      const source = own(await lockSource(tx, caller.organizationId, id))
      audit({ resourceType: 'webhook_source', resourceId: id, before: audited(source), after: { status: 'disabled' } })
      return updateSource(tx, caller.organizationId, id, { ...wiped, status: 'disabled' })
    })
    app.sources.clear()
    return view(closed)
  },
})

/** Throws AppError for a source that is not there, or not to be changed here: its connection would undo the change. */
function own(source: Source | undefined): Source {
  if (source === undefined) throw new AppError('not_found', 'No webhook source with that id.')
  if (source.connectionId !== null) throw new AppError('conflict', 'The source belongs to a connection: change it there.')
  return source
}

function newHeader(keys: SealingKeys, organizationId: string, id: string): { name: string; value: string; sealed: string } {
  const value = randomBytes(32).toString('base64url')
  return { name: headerName, value, sealed: sealSourceSecret(keys, organizationId, id, 'sealed_header', value) }
}

function audited({ provider, accountId, name, status, headerName, sealedSigningCurrent }: Source): Record<string, unknown> {
  return { provider, accountId, name, status, headerName, hasSigningSecret: sealedSigningCurrent !== null }
}

function pathOf(source: Source, token: string): string {
  return `/webhooks/${source.provider}/${token}`
}

function view(source: Source): z.infer<typeof SourceView> {
  return {
    id: source.id,
    provider: source.provider,
    accountId: source.accountId,
    name: source.name,
    status: source.status,
    headerName: source.headerName,
    hasSigningSecret: source.sealedSigningCurrent !== null,
    connectionId: source.connectionId,
    lastReceivedAt: source.lastReceivedAt?.toISOString() ?? null,
    createdAt: source.createdAt.toISOString(),
  }
}
