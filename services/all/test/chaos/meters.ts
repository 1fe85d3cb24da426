import type { Stage } from './scenario.ts'
import { expectThat } from './scenarios/until.ts'
import type { World } from './world.ts'

/** So far, as accounts sees it. */
export async function countedMessages(world: World): Promise<number> {
  const [row] = await world.sql<{ messages: number }>(
    `select coalesce(sum(messages), 0)::int as messages from accounts.usage_slots where organization_id = $1`,
    [world.organizationId],
  )
  return row?.messages ?? 0
}

/**
 * What accounts counted is what the books kept outside say: the sender's (messages in, people), the phone's (messages out) and, for
 * the model, what the agents stated of their turns. Gives the number of messages.
 */
export async function metersAgree({ world, ledger }: Stage): Promise<number> {
  const accepted = ledger.sends.filter(({ outcome }) => outcome === 'ok')
  const messages = new Set(accepted.map(({ id }) => id)).size + world.phone.sent.length
  const people = new Set(accepted.map(({ chat }) => chat)).size
  const [turns] = await world.sql<{ requests: number; micros: number }>(
    `select count(*)::int as requests, coalesce(sum((envelope->'data'->>'costMicros')::bigint), 0)::int as micros
     from agents.outbox where type = 'turn.taken' and organization_id = $1 and envelope->'data'->>'model' is not null`,
    [world.organizationId],
  )
  const [counted] = await world.sql(
    `select sum(messages)::int as messages, sum(conversations)::int as conversations, sum(ai_requests)::int as requests,
       sum(ai_spend_micros)::int as micros,
       (select count(distinct customer_id)::int from accounts.usage_customers where organization_id = $1) as customers,
       (select count(*)::int from accounts.usage_logs where organization_id = $1 and usage_type = 'message') as logged
     from accounts.usage_slots where organization_id = $1`,
    [world.organizationId],
  )
  const wanted = {
    messages,
    conversations: people,
    requests: turns?.requests,
    micros: turns?.micros,
    customers: people,
    logged: messages,
  }
  for (const [what, value] of Object.entries(wanted))
    expectThat(counted?.[what] === value, `accounts counted ${String(counted?.[what])} ${what}, and the books say ${value}`)
  return messages
}
