import { Id, Metric, monthOf, Plan, startOfMonth, Timestamp } from '@parley/contracts'
import { pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { type ListedMonth, listMonths } from '../db/usage-months.ts'
import { findSettings } from '../db/usage-settings.ts'
import { listUses, type MonthTotals, sumCalls, sumMonth, usedOf } from '../db/usage.ts'
import { OverageLineView } from '../overage-view.ts'
import { limitOf, metrics, type Terms, termsOf } from '../rules/limits.ts'
import { nextMonth } from '../rules/month.ts'
import { percentOf } from '../rules/usage.ts'

const Metered = z.object({
  metric: Metric,
  used: z.int(),
  /** Null: no limit. */
  limit: z.int().nullable(),
  remaining: z.int().nullable(),
  percent: z.int().nullable(),
  /** Beyond the limit. */
  overage: z.int(),
  /** True: at the limit it ends; false: more is charged. */
  stops: z.boolean(),
})

const Totals = z.object({
  messages: z.int(),
  conversations: z.int(),
  /** Customers who wrote. */
  customers: z.int(),
  aiRequests: z.int(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  totalTokens: z.int(),
  aiSpendMicros: z.int(),
})

const CurrentUsage = z.object({
  month: z.iso.date(),
  timezone: z.string(),
  startsAt: Timestamp,
  endsAt: Timestamp,
  /** Null: no subscription; counted, never limited. */
  plan: Plan.nullable(),
  totals: Totals,
  /** With API keys, as told once a minute; and files of the audit log taken out. Neither is limited by a plan. */
  calls: z.object({ apiCalls: z.int(), exports: z.int() }),
  metrics: z.array(Metered),
})

export const getUsage = route({
  method: 'GET',
  path: '/v1/usage',
  summary: 'What the organization has used in its current month, and what is left of each limit.',
  scope: 'usage:read',
  reply: CurrentUsage,
  async run({ caller, app, read }) {
    return await read(async (tx) => {
      const settings = await findSettings(tx, caller.organizationId)
      const timezone = settings?.timezone ?? 'UTC'
      const month = monthOf(app.now(), timezone)
      const totals = await sumMonth(tx, caller.organizationId, month)
      const terms = termsOf(settings?.plan ?? null, settings?.overrides ?? {}, settings?.aiBudgetMicros ?? null)
      return {
        month,
        timezone,
        startsAt: startOfMonth(month, timezone).toISOString(),
        endsAt: startOfMonth(nextMonth(month), timezone).toISOString(),
        plan: settings?.plan ?? null,
        totals: totalsView(totals),
        calls: await sumCalls(tx, caller.organizationId, month),
        metrics: meteredView(totals, terms),
      }
    })
  },
})

const MonthOfUsage = z.object({
  year: z.int(),
  month: z.int().min(1).max(12),
  totals: Totals,
  /** As they were when the month was closed; null before. */
  messageLimit: z.int().nullable(),
  messagesRemaining: z.int().nullable(),
  overageMessages: z.int(),
  overage: z.array(OverageLineView),
  /** The bill for what ran over. */
  overageTransactionId: Id.nullable(),
  closedAt: Timestamp.nullable(),
})

export const getUsageMonths = route({
  method: 'GET',
  path: '/v1/usage/months',
  summary: 'What the organization used month by month, latest first.',
  scope: 'usage:read',
  query: z.strictObject(pageQuery),
  reply: pageOf(MonthOfUsage),
  async run({ query: { page, limit }, caller, read }) {
    const { items, total } = await read((tx) => listMonths(tx, caller.organizationId, { limit, offset: (page - 1) * limit }))
    return { items: items.map(monthView), page, limit, total }
  },
})

const UsageTypeName = z.enum(['message', 'conversation', 'ai_request', 'knowledge_chunk', 'embedding', 'api_call', 'export'])

const UseView = z.object({
  id: Id,
  usageType: UsageTypeName,
  month: z.iso.date(),
  conversationId: Id.nullable(),
  turnId: Id.nullable(),
  aiModel: z.string().nullable(),
  simulated: z.boolean().nullable(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  totalTokens: z.int(),
  /** Of one token; null for what has none. */
  unitCostMicros: z.number().nullable(),
  totalCostMicros: z.int(),
  occurredAt: Timestamp,
  /** How many it stands for: calls of a key are told in reports of many. */
  quantity: z.int(),
  /** Of calls: the key. */
  keyId: z.string().nullable(),
})

const Moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

export const getUsageLogs = route({
  method: 'GET',
  path: '/v1/usage/logs',
  summary: 'Single uses, latest first; kept for 400 days.',
  scope: 'usage:read',
  query: z.strictObject({
    ...pageQuery,
    type: UsageTypeName.optional(),
    conversationId: Id.optional(),
    model: z.string().min(1).max(128).optional(),
    since: Moment.optional(),
    until: Moment.optional(),
  }),
  reply: pageOf(UseView),
  async run({ query: { page, limit, type, conversationId, model, since, until }, caller, read }) {
    const filter = { type, conversationId, model, since, until, limit, offset: (page - 1) * limit }
    const { items, total } = await read((tx) => listUses(tx, caller.organizationId, filter))
    const views = items.map((use) => {
      const totalTokens = use.promptTokens + use.completionTokens
      const totalCostMicros = Number(use.totalCostMicros)
      const unitCostMicros = totalTokens === 0 ? null : totalCostMicros / totalTokens
      return {
        ...use,
        totalTokens,
        totalCostMicros,
        unitCostMicros,
        occurredAt: use.occurredAt.toISOString(),
        quantity: Number(use.quantity),
      }
    })
    return { items: views, page, limit, total }
  },
})

function totalsView(totals: MonthTotals): z.infer<typeof Totals> {
  return { ...totals, totalTokens: totals.promptTokens + totals.completionTokens }
}

function meteredView(totals: MonthTotals, terms: Terms): z.infer<typeof Metered>[] {
  const used = usedOf(totals)
  return metrics.map((metric) => {
    const limit = limitOf(terms.limits, metric)
    return {
      metric,
      used: used[metric],
      limit,
      remaining: limit === null ? null : Math.max(0, limit - used[metric]),
      percent: percentOf(used[metric], limit),
      overage: limit === null ? 0 : Math.max(0, used[metric] - limit),
      stops: limit !== null && terms.overageMicros[metric] === null,
    }
  })
}

function monthView({ month, totals, limits, overage, overageTransactionId, closedAt }: ListedMonth) {
  const messageLimit = limits?.messages ?? null
  return {
    year: Number(month.slice(0, 4)),
    month: Number(month.slice(5, 7)),
    totals: totalsView(totals),
    messageLimit,
    messagesRemaining: messageLimit === null ? null : Math.max(0, messageLimit - totals.messages),
    overageMessages: messageLimit === null ? 0 : Math.max(0, totals.messages - messageLimit),
    overage: overage ?? [],
    overageTransactionId,
    closedAt: closedAt?.toISOString() ?? null,
  }
}
