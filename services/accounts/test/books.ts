import {
  allowanceChanged,
  conversationStarted,
  type DataOf,
  type Limits,
  messageAdded,
  organizationCreated,
  organizationUpdated,
  turnTaken,
  usageLimitReached,
} from '@parley/contracts'
import type { World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'

type Record = DataOf<typeof organizationCreated>

/** An organization whose books are looked at. */
export function openBooks(world: World, organizationId = world.organizationId) {
  const record = (more: Partial<Record> = {}): Record => ({
    organizationId,
    name: 'Maison Zoé',
    status: 'active',
    timezone: 'UTC',
    locale: 'fr-FR',
    currency: 'EUR',
    ai: { enabled: true, modelPreference: null, confidenceThreshold: 0.5, monthlyBudgetMicros: null },
    revision: 1,
    ...more,
  })
  const state = <Data>(type: Parameters<typeof world.state<Data>>[1], data: Data) =>
    world.state('accounts', type, data, { organizationId })

  async function stated<Data>(type: { type: string }): Promise<Data[]> {
    const events = await world.events('accounts', type.type)
    return events.filter((event) => event.organizationId === organizationId).map((event) => event.data as Data)
  }

  return {
    organizationId,
    async created(more?: Partial<Record>) {
      await state(organizationCreated, record(more))
      await world.settle()
    },
    async updated(more: Partial<Record> & { revision: number }) {
      await state(organizationUpdated, record(more))
      await world.settle()
    },
    message(more: { conversationId?: string; customerId?: string; sender?: 'user' | 'agent' | 'system'; addedAt?: Date } = {}) {
      return state(messageAdded, {
        conversationId: more.conversationId ?? randomUUIDv7(),
        conversationVersion: 1,
        messageId: randomUUIDv7(),
        customerId: more.customerId ?? randomUUIDv7(),
        channel: 'whatsapp',
        accountId: 'PHONE-1',
        chatId: '33612345678@s.whatsapp.net',
        sender: more.sender ?? 'user',
        content: { type: 'text', text: 'Bonjour', attachments: [], location: null, contacts: [], choice: null, order: null },
        wantsReply: true,
        addedAt: (more.addedAt ?? new Date()).toISOString(),
      })
    },
    started: (conversationId = randomUUIDv7()) =>
      state(conversationStarted, {
        conversationId,
        customerId: randomUUIDv7(),
        channel: 'whatsapp',
        accountId: 'PHONE-1',
        chatId: '33612345678@s.whatsapp.net',
        startedAt: new Date().toISOString(),
      }),
    turn: (costMicros: number, more: { model?: string | null } = {}) =>
      state(turnTaken, {
        conversationId: randomUUIDv7(),
        turnId: randomUUIDv7(),
        messageIds: [],
        outcome: 'replied',
        language: null,
        intent: null,
        sentiment: null,
        confidence: null,
        model: more.model === undefined ? 'gpt-4o-mini' : more.model,
        simulated: false,
        promptVersion: null,
        promptTokens: 100,
        completionTokens: 10,
        costMicros,
        durationMs: 5,
        reason: null,
      }),
    /** As an operator would, without the look that comes with it: the next use finds them. */
    async limits(overrides: Partial<Limits>) {
      await world.sql(`update accounts.usage_settings set overrides = $2, watch = null where organization_id = $1`, [
        organizationId,
        JSON.stringify(overrides),
      ])
    },
    warnings: () => stated<DataOf<typeof usageLimitReached>>(usageLimitReached),
    allowances: () => stated<DataOf<typeof allowanceChanged>>(allowanceChanged),
    /** Counts of a month straight from the table. */
    async counted(month: string) {
      const [row] = await world.sql<{ messages: number; requests: number; micros: number; conversations: number }>(
        `select coalesce(sum(messages), 0)::int as messages, coalesce(sum(ai_requests), 0)::int as requests,
           coalesce(sum(ai_spend_micros), 0)::int as micros, coalesce(sum(conversations), 0)::int as conversations
         from accounts.usage_slots where organization_id = $1 and month = $2`,
        [organizationId, month],
      )
      return row
    },
  }
}

export const thisMonth = () => `${new Date().toISOString().slice(0, 7)}-01`
