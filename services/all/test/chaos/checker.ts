import { connect } from '@nats-io/transport-node'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { schemaOf } from '@parley/runtime'
import { allServices } from '../../src/services.ts'
import type { Ledger, Send } from './ledger.ts'
import { busyParts } from './quiesce.ts'
import { refsIn } from './refs.ts'
import type { World } from './world.ts'

export interface Expectations {
  /** Dead letters that a scenario planted, by event id or handler. */
  isPlanted?(dead: { service: string; eventId: string; handler: string; key: string }): boolean
  /** Chats in which an answer may be missing, because a fault made a person take over; it must then be visible there. */
  mayBeHandedOver?(chat: string): boolean
  /** Chats where a dead letter was tried again after those behind it. */
  isShuffled?(chat: string): boolean
}

export interface Verdict {
  /** Facts sent, by their own ids. */
  sent: number
  accepted: number
  /** Accepted, and not there. */
  lost: number
  /** There, or done, more than once. */
  doubled: number
  /** Every broken invariant, each with an example. */
  broken: string[]
}

interface Row {
  providerMessageId: string
  chat: string
  version: number
  text: string | null
  status: string
}

/** Holds what the services say against the books kept outside: the sender's, the phone's and the model's (reliability.md §5). */
export async function check(world: World, ledger: Ledger, expected: Expectations = {}): Promise<Verdict> {
  const facts = Map.groupBy(ledger.sends, (send) => send.id)
  const accepted = [...facts.values()].filter((sends) => sends.some(({ outcome }) => outcome === 'ok'))
  const broken: string[] = []
  const counts = { lost: 0, doubled: 0 }

  for (const part of await busyParts(world)) broken.push(`I5 still under way: ${part}`)
  await checkReceipts(world, ledger, broken, counts)
  const rows = await incomingMessages(world)
  checkMessages(facts, rows, broken, counts)
  checkOrder(ledger, rows, expected, broken)
  await checkAnswers(world, accepted, expected, broken, counts)
  await checkEffects(world, broken, counts)
  await checkDeadLetters(world, expected, broken)
  await checkStatuses(world, broken)
  await checkStream(world, broken)
  return { sent: facts.size, accepted: accepted.length, ...counts, broken }
}

/** I1: every 2xx names a receipt that is in a terminal state. */
async function checkReceipts(world: World, ledger: Ledger, broken: string[], counts: { lost: number }): Promise<void> {
  const ids = ledger.sends.flatMap(({ receiptIds }) => receiptIds)
  const missing = await world.sql<{ id: string }>(
    `select given.id from unnest($1::uuid[]) as given (id) where not exists (select from ingest.receipts r where r.id = given.id)`,
    [ids],
  )
  counts.lost += missing.length
  if (missing.length > 0) broken.push(`I1 ${missing.length} answered webhooks have no receipt, such as ${missing[0]?.id}`)
  const dead = await world.sql<{ id: string; error: string }>(
    `select id, error from ingest.receipts where state = 'dead' limit 1`,
  )
  if (dead[0]) broken.push(`I1 receipt ${dead[0].id} is dead: ${dead[0].error}`)
}

function incomingMessages(world: World): Promise<Row[]> {
  return world.sql<Row>(
    `select m.provider_message_id as "providerMessageId", c.chat_id as chat, m.version, m.text, m.status
     from inbox.messages m join inbox.conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
     where m.sender = 'user' order by c.chat_id, m.version`,
  )
}

/** I1, I3: what was accepted is one message; what may have been is one or none; what was refused is none. */
function checkMessages(
  facts: Map<string, Send[]>,
  rows: Row[],
  broken: string[],
  counts: { lost: number; doubled: number },
): void {
  const found = Map.groupBy(rows, ({ providerMessageId }) => providerMessageId)
  for (const [id, sends] of facts) {
    if (sends.every(({ ref }) => ref === null)) continue
    const times = found.get(id)?.length ?? 0
    const isOk = sends.some(({ outcome }) => outcome === 'ok')
    if (isOk && times === 0) {
      counts.lost++
      broken.push(`I1 message ${id} of ${sends[0]?.chat} was accepted and is not there (${sends[0]?.answers.join(' ')})`)
    }
    if (times > 1) {
      counts.doubled++
      broken.push(`I3 message ${id} is there ${times} times`)
    }
    if (times > 0 && sends.every(({ outcome }) => outcome === 'fail')) broken.push(`I1 message ${id} was refused and is there`)
  }
}

/** I4: a message that was acknowledged before another of its chat was sent stands before it. */
function checkOrder(ledger: Ledger, rows: Row[], expected: Expectations, broken: string[]): void {
  const times = new Map<string, { begunAt: number; endedAt: number }>()
  for (const send of ledger.sends) {
    if (send.outcome !== 'ok') continue
    const known = times.get(send.id)
    times.set(send.id, {
      begunAt: Math.min(known?.begunAt ?? Number.POSITIVE_INFINITY, send.begunAt),
      endedAt: Math.min(known?.endedAt ?? Number.POSITIVE_INFINITY, send.endedAt),
    })
  }
  for (const [chat, own] of Map.groupBy(rows, (row) => row.chat)) {
    if (expected.isShuffled?.(chat)) continue
    let latestBegin = 0
    for (const { providerMessageId } of own) {
      const time = times.get(providerMessageId)
      if (!time) continue
      if (time.endedAt < latestBegin)
        broken.push(`I4 in chat ${chat}, ${providerMessageId} stands behind one that was sent later`)
      latestBegin = Math.max(latestBegin, time.begunAt)
    }
  }
}

/** I3: each message that wants an answer was answered once on the phone, in the order of the messages, or its conversation says why not. */
async function checkAnswers(
  world: World,
  accepted: Send[][],
  expected: Expectations,
  broken: string[],
  counts: { lost: number; doubled: number },
): Promise<void> {
  const answers = new Map<string, string[]>()
  for (const entry of sentBy(world)) {
    for (const ref of refsIn(entry.text)) answers.set(ref, [...(answers.get(ref) ?? []), entry.id])
  }
  const silent = await world.sql<{ chat: string; why: string }>(
    `select c.chat_id as chat, coalesce(c.handed_over_reason, m.failure_reason, m.status) as why from inbox.conversations c
     left join inbox.messages m on m.organization_id = c.organization_id and m.conversation_id = c.id and m.status in ('failed', 'dropped')
     where c.status <> 'open' or m.id is not null`,
  )
  const reasons = new Map(silent.map(({ chat, why }) => [chat, why]))
  for (const sends of accepted) {
    const { ref, chat } = sends[0] as Send
    if (ref === null) continue
    const times = answers.get(ref)?.length ?? 0
    if (times > 1) {
      counts.doubled++
      broken.push(`I3 ${ref} of ${chat} was answered ${times} times: ${answers.get(ref)?.join(' ')}`)
    }
    if (times === 1) continue
    if (times === 0 && expected.mayBeHandedOver?.(chat) && reasons.has(chat)) continue
    if (times === 0) {
      counts.lost++
      broken.push(`I3 ${ref} of ${chat} was never answered (its conversation: ${reasons.get(chat) ?? 'open'})`)
    }
  }
}

/** I2, I3: every send on the phone is one effect of ours, and every effect goes back to a webhook. */
async function checkEffects(world: World, broken: string[], counts: { doubled: number }): Promise<void> {
  const stray = await world.sql<{ key: string }>(
    `select effect_key as key from notifier.effects e where not exists (select from ingest.receipts r where r.correlation_id = e.correlation_id) limit 1`,
  )
  if (stray[0]) broken.push(`I2 effect ${stray[0].key} goes back to no webhook`)
  const open = await world.sql<{ key: string; state: string }>(
    `select effect_key as key, state from notifier.effects where state in ('intent', 'unknown')`,
  )
  if (open[0]) broken.push(`I3 ${open.length} effects are undecided, such as ${open[0].key} (${open[0].state})`)
  const known = await world.sql<{ id: string }>(
    `select provider_message_id as id from notifier.outgoing_messages where provider_message_id is not null`,
  )
  const ours = new Set(known.map(({ id }) => id))
  const unknown = sentBy(world).filter(({ id }) => !ours.has(id))
  if (unknown.length > 0) {
    counts.doubled += unknown.length
    broken.push(
      `I3 the phone took ${unknown.length} messages that nobody here has recorded, such as ${unknown[0]?.id}: ${unknown[0]?.text}`,
    )
  }
  const doubled = await world.sql<{ turn: string }>(
    `select turn_id as turn from inbox.messages where turn_id is not null group by turn_id having count(*) > 1 limit 1`,
  )
  if (doubled[0]) broken.push(`I3 turn ${doubled[0].turn} has two answers`)
}

const sentBy = (world: World) => world.phones.flatMap(({ sent }) => sent)

async function checkDeadLetters(world: World, expected: Expectations, broken: string[]): Promise<void> {
  const dead = await world.sql<{ service: string; eventId: string; handler: string; key: string; error: string }>(
    allServices
      .map(
        ({ name }) =>
          `select '${name}' as service, event_id as "eventId", handler, key, error from ${schemaOf(name)}.dead_letters where state in ('dead', 'dropped')`,
      )
      .join(' union all '),
  )
  for (const row of dead.filter((entry) => !expected.isPlanted?.(entry))) {
    broken.push(`I5 ${row.service} gave up ${row.handler} (${row.eventId}): ${row.error}`)
  }
}

/** As the reports' order must not matter, the book's highest word is what the message says. */
const ranks = ['queued', 'pending', 'sent', 'delivered', 'read', 'played', 'failed', 'dropped', 'deleted']

/** I4: no status ever fell back. */
async function checkStatuses(world: World, broken: string[]): Promise<void> {
  const fallen = await world.sql<{ id: string; status: string; highest: string }>(
    `select m.id, m.status, h.status as highest from inbox.messages m join inbox.message_status_history h on h.message_id = m.id
     where m.sender = 'agent' and array_position($1::text[], h.status) > array_position($1::text[], m.status) limit 1`,
    [ranks],
  )
  if (fallen[0]) broken.push(`I4 message ${fallen[0].id} is ${fallen[0].status} although it was ${fallen[0].highest}`)
}

/** I5: every event that any service stated is in the stream. */
async function checkStream(world: World, broken: string[]): Promise<void> {
  const stored = await storedEventIds(world)
  for (const { name } of allServices) {
    const rows = await world.sql<{ id: string; type: string }>(
      `select id, type from ${schemaOf(name)}.outbox where created_at > now() - interval '72 hours' order by xid, seq`,
    )
    const missing = rows.filter(({ id }) => !stored.has(id))
    if (missing.length > 0)
      broken.push(
        `I5 ${missing.length} of ${rows.length} events of ${name} are not in the stream, such as ${missing[0]?.type} ${missing[0]?.id}`,
      )
  }
}

/** The ids under which events lie in the stream, read from its beginning. */
export async function storedEventIds(world: World): Promise<Set<string>> {
  const nc = await connect(world.broker.login)
  try {
    const manager = await jetstreamManager(nc)
    const { state } = await manager.streams.info(world.stream)
    const ids = new Set<string>()
    if (state.messages === 0) return ids
    const { name } = await manager.consumers.add(world.stream, { ack_policy: AckPolicy.None, inactive_threshold: 60_000_000_000 })
    const consumer = await jetstream(nc).consumers.get(world.stream, name)
    let left = state.messages
    while (left > 0) {
      for await (const message of await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5_000 })) {
        ids.add(message.headers?.get('Nats-Msg-Id') ?? '')
        left--
      }
    }
    await manager.consumers.delete(world.stream, name)
    return ids
  } finally {
    await nc.close()
  }
}
