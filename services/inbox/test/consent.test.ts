import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { inbox } from '../src/service.ts'
import { agentReplies, openChat, stated, until } from './chat.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

describe('consent', () => {
  test('STOP silences the agent, is proved and confirmed once; START restores it', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour', { sentAt: chat.at(-9_000) })
    await chat.says('stop !', { sentAt: chat.at(-8_000) })
    await chat.says('STOP', { sentAt: chat.at(-7_000) })
    await chat.says('une question', { sentAt: chat.at(-6_000) })
    await world.settle()
    const conversation = await chat.conversation()
    const fromCustomer = (await stated(world, 'message.added', conversation.id)).filter((data) => data['sender'] === 'user')
    expect(fromCustomer.map((data) => data['wantsReply'])).toEqual([true, false, false, false])
    expect(await stated(world, 'consent.changed', conversation.customer_id)).toMatchObject([
      { purpose: 'conversation', state: 'withdrawn', wording: 'STOP' },
      { purpose: 'marketing', state: 'withdrawn', wording: 'STOP' },
    ])
    expect(await stated(world, 'message.send_requested', conversation.id)).toMatchObject([
      { sender: 'system', basedOnVersion: null },
    ])

    await agentReplies(world, conversation)
    await world.settle()
    expect((await chat.messages()).find(({ sender }) => sender === 'agent')).toMatchObject({ failure_reason: 'no_consent' })
    const promo = await world.call('POST', `/v1/conversations/${conversation.id}/messages`, { body: { text: 'Promo !' } })
    expect(promo).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } })
    const log = await world.call('GET', `/v1/customers/${conversation.customer_id}/consents`)
    expect(log.body).toMatchObject({ total: 4, current: [{ state: 'withdrawn' }, { state: 'withdrawn' }] })

    await chat.says('START', { sentAt: chat.at(-5_000) })
    await chat.says('encore moi')
    await world.settle()
    expect((await stated(world, 'message.added', conversation.id)).at(-1)).toMatchObject({ wantsReply: true })
  })

  test('an older START that comes late is in the log and undoes nothing', async () => {
    const chat = openChat(world)
    await chat.says('STOP', { sentAt: chat.at(-1_000) })
    await chat.says('START', { sentAt: chat.at(-5_000) })
    await world.settle()
    const { customer_id: customerId } = await chat.conversation()
    const log = await world.call('GET', `/rest/v1/consent_logs?user_id=${customerId}&purpose=marketing`)
    expect(log.body.items).toMatchObject([
      { state: 'granted', applied: false },
      { state: 'withdrawn', applied: true },
    ])
    const { body } = await world.call('GET', `/v1/customers/${customerId}/consents`)
    expect(body.current).toMatchObject([{ state: 'withdrawn' }, { state: 'withdrawn' }])
  })

  test('the log cannot be changed, not even by its owner', async () => {
    const chat = openChat(world)
    await chat.says('STOP')
    await world.settle()
    await expect(world.sql(`update inbox.consents set state = 'granted'`)).rejects.toThrow(/only ever added/)
    await expect(world.sql(`delete from inbox.consents`)).rejects.toThrow(/only ever added/)
  })
})

describe('SUPPRIMER', () => {
  const canary = 'canary-7f3a'

  /** Every table of the inbox that holds something of an organization; the outbox is the runtime's. */
  async function tracesOf(text: string): Promise<string[]> {
    const tables = await world.sql<{ name: string }>(
      `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'inbox' and c.relkind = 'r' and c.relname not like 'outbox%'
       and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id')`,
    )
    expect(tables.length).toBeGreaterThan(10)
    const traces: string[] = []
    for (const { name } of tables) {
      const rows = await world.sql(`select 1 from inbox.${name} t where t::text like '%' || $1 || '%'`, [text])
      if (rows.length > 0) traces.push(name)
    }
    return traces
  }

  test('erases everything of the sender, once, and late deliveries bring nothing back', async () => {
    const chat = openChat(world)
    const sender = { id: chat.chatId, phone: `+${chat.digits}`, name: `Zoé ${canary}` }
    const id = await chat.says(`ma carte est ${canary}`, { sender, sentAt: chat.at(-9_000) })
    await chat.edits(id, `ma carte était ${canary}`)
    await chat.reacts(id, '👍')
    await chat.edits('not-yet-known', `et ${canary}`)
    await world.settle()
    const { id: conversationId, customer_id: customerId } = await chat.conversation()
    expect(await tracesOf(canary)).toEqual(expect.arrayContaining(['customers', 'early_arrivals', 'message_edits', 'messages']))
    expect(await tracesOf(chat.digits)).toEqual(
      expect.arrayContaining(['conversations', 'customer_identities', 'message_reactions']),
    )

    await chat.says('Supprimér !', { sentAt: chat.at(-5_000) })
    await world.settle()
    await chat.says('SUPPRIMER', { sentAt: chat.at(-4_000) })
    await chat.says(`late ${canary}`, { sentAt: chat.at(-8_000) })
    await chat.edits(id, `edited ${canary}`)
    await chat.edits('never-seen', `edited ${canary}`)
    await chat.reacts(id, canary)
    await chat.says(`Vous avez dit ${canary}`, { fromUs: true, origin: 'api' })
    await agentReplies(world, { id: conversationId, version: 1 }, { text: `vous avez dit ${canary}` })
    await world.settle()

    expect(await stated(world, 'customer.erased', customerId)).toMatchObject([
      { conversationIds: [conversationId], chatIds: [chat.chatId] },
    ])
    expect(await tracesOf(canary)).toEqual([])
    expect(await tracesOf(chat.digits)).toEqual([])
    const { body } = await world.call('GET', `/v1/customers/${customerId}`)
    expect(body).toMatchObject({ name: null, identities: [], erasure: { messageCount: 2, completedAt: expect.any(String) } })
    expect((await world.call('POST', `/v1/conversations/${conversationId}/messages`, { body: { text: 'Hello' } })).status).toBe(
      410,
    )
    // The last word goes out, to the chat that the conversation has forgotten; the request itself is told to nobody.
    expect(await stated(world, 'message.send_requested', conversationId)).toMatchObject([
      { chatId: chat.chatId, sender: 'system' },
    ])
    expect(await stated(world, 'message.added', conversationId)).toHaveLength(1)
    const notes = await world.sql<{ reason: string }>(`select reason from inbox.event_notes order by reason`)
    expect(new Set(notes.map(({ reason }) => reason))).toEqual(new Set(['erased', 'nothing_to_erase']))
  })

  test('takes what was told to others out of the outbox as well', async () => {
    const chat = openChat(world)
    await chat.says(`Bonjour ${canary}`, { sentAt: chat.at(-9_000) })
    await chat.says('SUPPRIMER')
    await world.settle()
    // What this test states in the name of ingest stands in the inbox's outbox, but is not the inbox's to erase.
    const told = () =>
      world.sql(`select type from inbox.outbox where type <> 'message.received' and envelope::text like '%' || $1 || '%'`, [
        chat.digits,
      ])
    expect((await told()).length).toBeGreaterThan(2)
    await world.sql(`update inbox_jobs.job set start_after = now() where name = 'erase-events' and state < 'active'`)
    await until(async () => (await told()).length === 0)
  })

  test('from somebody we had never heard of is obeyed and told as an erasure only', async () => {
    const chat = openChat(world)
    await chat.says('SUPPRIMER')
    await world.settle()
    await expect(chat.conversation()).rejects.toThrow()
    const erased = (await world.events('inbox', 'customer.erased')).map(
      ({ data }) => data as { customerId: string; chatIds: string[] },
    )
    const customerId = erased.find(({ chatIds }) => chatIds.includes(chat.chatId))?.customerId ?? 'nobody'
    expect(await stated(world, 'conversation.started', customerId)).toHaveLength(0)
    expect(await stated(world, 'message.send_requested', customerId)).toHaveLength(1)
  })

  test('makes whoever writes again afterwards somebody new', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour', { sentAt: chat.at(-9_000) })
    await chat.says('SUPPRIMER', { sentAt: chat.at(-5_000) })
    await world.settle()
    await chat.says('Bonjour à nouveau')
    await chat.says('from before', { sentAt: chat.at(-8_000) })
    await world.settle()
    const again = await chat.conversation()
    expect(again).toMatchObject({ version: 1 })
    expect((await chat.messages()).map(({ text }) => text)).toEqual(['Bonjour à nouveau'])
    await chat.says('SUPPRIMER', { sentAt: chat.at(1_000) })
    await world.settle()
    expect(await stated(world, 'customer.erased', again.customer_id)).toHaveLength(1)
  })

  test('in a sentence only asks back', async () => {
    const chat = openChat(world)
    await chat.says('Je voudrais supprimer mes données')
    await world.settle()
    const conversation = await chat.conversation()
    expect(await stated(world, 'customer.erased', conversation.customer_id)).toHaveLength(0)
    expect(await stated(world, 'message.added', conversation.id)).toMatchObject([{ wantsReply: false }, { sender: 'system' }])
    expect((await chat.answer()).text).toContain('SUPPRIMER')
  })

  test('from somebody other than the person of the chat only calls a person of the shop', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await chat.says('SUPPRIMER', { sender: { id: '33600000001@s.whatsapp.net', phone: '+33600000001', name: null } })
    await world.settle()
    const conversation = await chat.conversation()
    expect(conversation).toMatchObject({ status: 'with_person' })
    expect(await stated(world, 'customer.erased', conversation.customer_id)).toHaveLength(0)
    expect(await stated(world, 'conversation.handed_over', conversation.id)).toMatchObject([{ reason: 'asked_for_person' }])
  })
})
