import { connect } from '@nats-io/transport-node'
import { laneCount, laneOf } from '@parley/contracts'
import { says, webhookPayload } from '@parley/providers/whapi'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import type { Customer } from '../sender.ts'
import { expectThat, until } from './until.ts'

export const sameWebhookManyTimes: Scenario = {
  fault: 'F22',
  title: 'one webhook 50 times at once; the same words under a new id',
  async run({ world, sender, quick }) {
    const rounds = quick ? 2 : 20
    for (let round = 0; round < rounds; round++) {
      const { payload, fact } = sender.newCustomer().message()
      const sends = await Promise.all(Array.from({ length: 50 }, () => sender.post(payload, fact)))
      const others = sends.flatMap(({ answers }) => answers).filter((answer) => answer !== 200)
      expectThat(others.length === 0, `duplicates were answered ${others.join(', ')}`)
    }
    const customer = sender.newCustomer()
    await customer.writes('Encore une fois')
    await customer.writes('Encore une fois')
    const calm = await quiesce(world, 30_000)
    expectThat(calm.length === 0, calm.join('; '))
    const messages = await messagesOf(world, customer)
    expectThat(messages.length === 2, `the same words under two ids became ${messages.length} messages`)
    return { rounds, note: '50 copies each' }
  },
}

const messagesOf = (world: Stage['world'], { chat }: Pick<Customer, 'chat'>) =>
  world.sql<{ sender: string; status: string; text: string | null; deleted: boolean; version: number | null }>(
    `select m.sender, m.status, m.text, m.deleted_at is not null as deleted, m.version from inbox.messages m
     join inbox.conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
     where c.chat_id = $1 and m.sender = 'user' order by m.version`,
    [chat],
  )

export const reportsComeInAnyOrder: Scenario = {
  fault: 'F23',
  title: 'edits, deletions and statuses in any order leave the same state as in order',
  async run(stage) {
    const rounds = stage.quick ? 2 : 10
    const inOrder = await conversationAfter(stage, false)
    for (let round = 0; round < rounds; round++) {
      const shuffled = await conversationAfter(stage, true)
      expectThat(shuffled === inOrder, `shuffled: ${shuffled}\nin order: ${inOrder}`)
    }
    return { rounds, note: '' }
  },
}

/** Plays one fixed conversation, its reports in order or not, and gives what is left of it in words. */
async function conversationAfter({ world, sender, random }: Stage, shuffle: boolean): Promise<string> {
  world.phone.behaviour.order = shuffle ? 'reversed' : 'in_order'
  world.phone.behaviour.copies = shuffle ? 2 : 1
  const customer = sender.newCustomer()
  const at = Math.floor(Date.now() / 1000) - 60
  const first = customer.message({ text: 'Un', atSeconds: at })
  const second = customer.message({ text: 'Deux', atSeconds: at + 1 })
  for (const { payload, fact } of [first, second]) await sender.post(payload, fact)

  const change = (number: number, body: object) => {
    const id = `${first.stored.id}-${number}`
    const item = { ...first.stored, id, type: 'action', text: undefined, timestamp: at + 10 + number, ...body }
    return { payload: webhookPayload(world.channelId, 'messages', 'post', { messages: [item] }), id }
  }
  const edit = (number: number, target: string, text: string) =>
    change(number, { action: { target, type: 'edit', edited_type: 'text', edited_content: { body: text } } })
  const changes = [
    edit(1, first.stored.id, 'Un, mieux'),
    edit(2, first.stored.id, 'Un, encore mieux'),
    edit(3, second.stored.id, 'Deux, mieux'),
    change(4, { ...says.reaction(first.stored.id, '👍') }),
    change(5, { ...says.reaction(first.stored.id, '🙏') }),
    change(6, { action: { target: second.stored.id, type: 'delete' } }),
  ]
  for (const { payload, id } of shuffle ? random.shuffled(changes) : changes) {
    await sender.post(payload, { id, ref: null, chat: customer.chat })
  }
  const calm = await quiesce(world, 30_000)
  expectThat(calm.length === 0, calm.join('; '))
  Object.assign(world.phone.behaviour, { order: 'in_order', copies: 1 })
  const messages = await messagesOf(world, customer)
  const reactions = await world.sql(
    `select r.emoji from inbox.message_reactions r join inbox.messages m on m.id = r.message_id where m.provider_message_id = $1`,
    [first.stored.id],
  )
  const ours = await world.sql(
    `select distinct m.status from inbox.messages m join inbox.conversations c on c.id = m.conversation_id where c.chat_id = $1 and m.sender = 'agent'`,
    [customer.chat],
  )
  return JSON.stringify({ messages, reactions, ours })
}

export const albumOfTen: Scenario = {
  fault: 'F24',
  title: 'an album of ten from somebody new',
  async run({ world, sender, quick }) {
    const rounds = quick ? 1 : 10
    for (let round = 0; round < rounds; round++) {
      const customer = sender.newCustomer()
      const asked = world.model.count
      const album = Array.from({ length: 10 }, (_, i) =>
        customer.message({ content: says.image({ id: `jpeg-${customer.phone}-${i}` }) }),
      )
      await Promise.all(album.map(({ payload, fact }) => sender.post(payload, fact)))
      const calm = await quiesce(world, 30_000)
      expectThat(calm.length === 0, calm.join('; '))
      const [counts] = await world.sql<{ customers: number; conversations: number; messages: number }>(
        `select count(distinct c.customer_id)::int as customers, count(distinct c.id)::int as conversations, count(*)::int as messages
         from inbox.conversations c join inbox.messages m on m.conversation_id = c.id where c.chat_id = $1 and m.sender = 'user'`,
        [customer.chat],
      )
      expectThat(
        counts?.customers === 1 && counts.conversations === 1 && counts.messages === 10,
        `the album became ${JSON.stringify(counts)}`,
      )
      const turns = world.model.count - asked
      expectThat(turns >= 1 && turns <= 2, `the album was answered in ${turns} turns`)
      expectThat(world.phone.sentTo(customer.phone).length <= 2, 'the album got more than two answers')
    }
    return { rounds, note: '' }
  },
}

const poison = 'poison-word'

export const poisonHoldsUpNobodyElse: Scenario = {
  fault: 'F26',
  title: 'poison on every lane: its own key waits, the others do not',
  async run(stage) {
    const { world, sender, expected } = stage
    const planted = await poisonEveryLane(stage)
    // A bug in our own code, for one chat's messages only.
    await world.sql(
      `create or replace function inbox.trip() returns trigger language plpgsql as $$ begin raise exception 'planted bug'; end $$`,
    )
    await world.sql(
      `create or replace trigger trip before insert on inbox.messages for each row when (new.text like '%${poison}%') execute function inbox.trip()`,
    )
    const sick = sender.newCustomer()
    const bad = sick.message({ text: `Voici un ${poison}` })
    expected.plant(sick.chat)
    await sender.post(bad.payload, { ...bad.fact, ref: null })
    const behind = await sick.writes()

    const well = sender.newCustomer()
    const started = performance.now()
    const healthy = await well.writes()
    await world.phone.waitForSent(({ text }) => text?.includes(healthy.ref as string) === true, 5_000)
    const othersMs = Math.round(performance.now() - started)

    await until('the poisoned event among the dead', async () => (await deadOf(stage, sick.chat)).length === 1, 30_000)
    await world.phone.waitForSent(({ text }) => text?.includes(behind.ref as string) === true, 10_000)
    await world.sql('drop trigger trip on inbox.messages')
    await world.sql('drop function inbox.trip()')
    // Mended, and tried once more: now it goes through, once.
    const [dead] = await deadOf(stage, sick.chat)
    await world.api.post(`/v1/ops/inbox/dead-letters/${dead?.id}/redrive`, {}, z.unknown())
    const found = () => world.sql(`select 1 from inbox.messages where provider_message_id = $1`, [bad.stored.id])
    await until('the mended event', async () => (await found()).length === 1, 10_000)
    return { rounds: planted, note: `another chat was answered in ${othersMs} ms meanwhile` }
  },
}

const deadOf = ({ world }: Stage, chat: string) =>
  world.sql<{ id: string }>(`select id from inbox.dead_letters where state = 'dead' and key like '%' || $1`, [chat])

/** Straight onto the bus, past the door: no JSON, a broken contract, a text that Postgres cannot store; on each of the lanes. */
async function poisonEveryLane({ world, expected }: Stage): Promise<number> {
  const nc = await connect(world.broker.login)
  try {
    for (let lane = 0; lane < laneCount; lane++) {
      let key = ''
      for (let i = 0; laneOf(world.organizationId, key) !== lane; i++) key = `whatsapp:CHAOS-PHONE:poison-${i}`
      const envelope = {
        specversion: '1.0',
        id: randomUUIDv7(),
        type: 'message.received',
        source: 'ingest',
        time: new Date().toISOString(),
        subject: key,
        datacontenttype: 'application/json',
        dataversion: 1,
        organizationid: world.organizationId,
        correlationid: 'poison',
        data: { nothing: '\u0000 and \ud800' },
      }
      expected.plant(envelope.id)
      for (const text of ['{{{', '\u0000', JSON.stringify(envelope), '['.repeat(5_000), '{"organizationid":1e400}']) {
        await nc.request(`evt.${lane}.message.received.${world.organizationId}.poison`, text, { timeout: 5_000 })
      }
    }
  } finally {
    await nc.close()
  }
  return laneCount
}
