import { HeaderSecret, KeyId } from '@parley/contracts'
import { AppError, pageOf, pageQuery, sealText } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { type Channel, listChannels, lockChannel, saveChannel, tokenPlace } from '../db/channels.ts'
import { resumeChannel } from '../jobs/resume-channel.ts'

const ChannelView = z.object({
  accountId: z.string(),
  channel: z.literal('whatsapp'),
  provider: z.literal('whapi'),
  baseUrl: z.string(),
  /** `unauthorised`: the provider refused the token; messages wait for a new one. */
  status: z.enum(['active', 'unauthorised', 'disabled']),
  statusNote: z.string().nullable(),
  statusChangedAt: z.string(),
  /** What the provider last said of the phone behind the channel. */
  linkStatus: z.string().nullable(),
  linkNeedsPerson: z.boolean(),
  linkChangedAt: z.string().nullable(),
  perSecond: z.number().nullable(),
  /** The connection that it has its token from; null: it was set here. */
  connectionId: z.string().nullable(),
})

const NewChannel = z.strictObject({
  token: HeaderSecret.max(512).describe("The channel's token at the provider. It is stored sealed and never shown."),
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The gateway, one of those the operator allows; the default when left out.'),
  perSecond: z
    .number()
    .min(0.01)
    .max(10_000)
    .nullable()
    .default(null)
    .describe("Messages a second; null: the operator's default."),
  disabled: z.boolean().default(false),
})

export const putChannel = route({
  method: 'PUT',
  path: '/v1/channels/:accountId',
  summary: 'Set up a WhatsApp channel or give it a new token; what waited for the token goes out.',
  scope: 'channels:write',
  params: z.strictObject({ accountId: KeyId }),
  body: NewChannel,
  reply: ChannelView,
  async run({ params, body, caller, app, commit }) {
    const { organizationId } = caller
    const baseUrl = gatewayOf(body.baseUrl, app.gateways)
    const sealedToken = sealText(app.keys, tokenPlace(organizationId, params.accountId), body.token)
    const saved = await commit(async (tx, { later, audit }) => {
      const before = await lockChannel(tx, organizationId, params.accountId)
      const channel = await saveChannel(tx, organizationId, {
        accountId: params.accountId,
        baseUrl,
        sealedToken,
        perSecond: body.perSecond,
        disabled: body.disabled,
        // The token is no longer the connection's; a later change of the connection takes the channel back.
        connectionId: null,
      })
      later(resumeChannel, { accountId: params.accountId, after: '' })
      audit({
        resourceType: 'channel',
        resourceId: params.accountId,
        before: before ? audited(before) : null,
        after: { ...audited(channel), token: '•••' },
      })
      return channel
    })
    return view(saved)
  },
})

export const getChannels = route({
  method: 'GET',
  path: '/v1/channels',
  summary: 'The channels that messages go out through.',
  scope: 'channels:read',
  query: z.strictObject(pageQuery),
  reply: pageOf(ChannelView),
  async run({ query: { page, limit }, caller, read }) {
    const { items, total } = await read((tx) => listChannels(tx, caller.organizationId, { limit, offset: (page - 1) * limit }))
    return { items: items.map(view), page, limit, total }
  },
})

function audited({ baseUrl, status, perSecond }: Channel): Record<string, unknown> {
  return { baseUrl, status, perSecond }
}

function gatewayOf(asked: string | undefined, allowed: readonly string[]): string {
  const origin = asked === undefined ? allowed[0] : new URL(asked).origin
  if (origin === undefined || !allowed.includes(origin)) {
    throw new AppError('invalid', 'baseUrl: not one of the gateways that the operator allows.', { details: { allowed } })
  }
  return origin
}

function view(channel: Channel): z.infer<typeof ChannelView> {
  return {
    accountId: channel.accountId,
    channel: channel.channel,
    provider: channel.provider,
    baseUrl: channel.baseUrl,
    status: channel.status,
    statusNote: channel.statusNote,
    statusChangedAt: channel.statusChangedAt.toISOString(),
    linkStatus: channel.linkStatus,
    linkNeedsPerson: channel.linkNeedsPerson,
    linkChangedAt: channel.linkChangedAt?.toISOString() ?? null,
    perSecond: channel.perSecond,
    connectionId: channel.connectionId,
  }
}
