import {
  channelStatusChanged,
  messageDeleted,
  messageEdited,
  messageReacted,
  messageReceived,
  messageStatusChanged,
} from '@parley/contracts'
import { describe, expect, test } from 'vitest'
import { openWebhook } from '../webhook/index.ts'
import { expectSound, normalised, only, receivedAt, typesOf } from '../webhook/testing.ts'
import { whapiWebhook } from './webhook.ts'

const channel = 'CHANNL-TEST1'
const secrets = {
  signing: [],
  header: { name: 'X-Parley-Secret', values: ['current-secret', 'previous-secret'] },
  accountId: channel,
}

function delivery(type: string, event: string, parts: Record<string, unknown>) {
  return { ...parts, event: { type, event }, channel_id: channel }
}

function message(type: string, content: Record<string, unknown> = {}) {
  return {
    id: 'm1',
    type,
    chat_id: '33612345678@s.whatsapp.net',
    from_me: false,
    from: '33612345678',
    timestamp: 1_790_769_600,
    ...content,
  }
}

const posted = (...messages: unknown[]) => normalised(whapiWebhook, delivery('messages', 'post', { messages }))
const received = (...parts: Parameters<typeof message>) => only(posted(message(...parts)), messageReceived)

describe('who sent it', () => {
  const open = (body: unknown, headers: Record<string, string | string[]>) =>
    openWebhook(whapiWebhook, { headers, rawBody: Buffer.from(JSON.stringify(body)), receivedAt }, secrets).verdict

  const body = delivery('messages', 'post', { messages: [] })

  test('the current and, during a rotation, the previous secret open the door', () => {
    expect(open(body, { 'x-parley-secret': 'current-secret' })).toEqual({ ok: true })
    expect(open(body, { 'x-parley-secret': 'previous-secret' })).toEqual({ ok: true })
  })

  test('the right path token without the secret header, or with another, is refused', () => {
    expect(open(body, {})).toMatchObject({ status: 401, reason: 'header_missing' })
    expect(open(body, { 'x-parley-secret': '' })).toMatchObject({ status: 401 })
    expect(open(body, { 'x-parley-secret': 'current-secret ' })).toMatchObject({ status: 401 })
    expect(open(body, { 'x-parley-secret': ['current-secret', 'current-secret'] })).toMatchObject({ status: 401 })
  })

  test('a source without a secret lets nothing in, nor does an empty secret', () => {
    const request = { headers: { 'x-parley-secret': '' }, rawBody: Buffer.from('{}'), receivedAt }
    expect(whapiWebhook.verify(request, { signing: [], accountId: channel }).ok).toBe(false)
    expect(whapiWebhook.verify(request, { ...secrets, header: { name: 'x-parley-secret', values: [''] } }).ok).toBe(false)
  })

  test('a body of another channel is refused with 403', () => {
    const headers = { 'x-parley-secret': 'current-secret' }
    expect(open({ ...body, channel_id: 'CHANNL-OTHER' }, headers)).toMatchObject({ status: 403, reason: 'other_channel' })
    expect(open({ ...body, channel_id: [channel] }, headers)).toMatchObject({ status: 403 })
    expect(open([], headers)).toMatchObject({ status: 403 })
  })
})

describe('messages', () => {
  test('a text of a customer says who, where, when and what', () => {
    expect(
      received('text', { text: { body: 'Bonjour' }, from_name: 'Zoé', source: 'mobile', context: { quoted_id: 'q1' } }),
    ).toEqual({
      chatKey: `whatsapp:${channel}:33612345678@s.whatsapp.net`,
      channel: 'whatsapp',
      provider: 'whapi',
      accountId: channel,
      chatId: '33612345678@s.whatsapp.net',
      chatKind: 'person',
      chatName: null,
      providerMessageId: 'm1',
      fromUs: false,
      origin: 'mobile',
      sender: { id: '33612345678@s.whatsapp.net', phone: '+33612345678', name: 'Zoé' },
      content: { type: 'text', text: 'Bonjour', attachments: [], location: null, contacts: [], choice: null, order: null },
      replyToProviderMessageId: 'q1',
      sentAt: '2026-09-30T12:00:00.000Z',
      receiptId: '01938f6e-0000-7000-8000-000000000001',
    })
  })

  test.each([
    [
      'image',
      { image: { id: 'f1', mime_type: 'image/jpeg', file_size: 9, caption: 'ça ?', link: 'https://files/1' } },
      'image',
      'ça ?',
      'image',
    ],
    ['sticker', { sticker: { id: 'f1' } }, 'image', null, 'image'],
    ['video', { video: { id: 'f1', seconds: 7.5 } }, 'video', null, 'video'],
    ['gif', { gif: { id: 'f1' } }, 'video', null, 'video'],
    ['short', { short: { id: 'f1' } }, 'video', null, 'video'],
    ['audio', { audio: { id: 'f1' } }, 'audio', null, 'audio'],
    ['voice', { voice: { link: 'https://files/2' } }, 'audio', null, 'audio'],
    ['document', { document: { id: 'f1', file_name: 'facture.pdf', caption: 'voilà' } }, 'file', 'voilà', 'file'],
    ['documentWithCaption', { document: { id: 'f1', filename: 'x.pdf', caption: 'voilà' } }, 'file', 'voilà', 'file'],
  ])('a file of type %s becomes one attachment', (type, content, expected, words, kind) => {
    const { content: got } = received(type, content)
    expect(got).toMatchObject({ type: expected, text: words })
    expect(got.attachments).toHaveLength(1)
    expect(got.attachments[0]?.kind).toBe(kind)
  })

  test.each([
    ['link_preview', { link_preview: { body: 'voir https://x.fr', title: 'X' } }, 'text', 'voir https://x.fr'],
    ['link_preview', { link_preview: { url: 'https://x.fr' } }, 'text', 'https://x.fr'],
    ['interactive', { interactive: { type: 'button', body: { text: 'Confirmer ?' } } }, 'text', 'Confirmer ?'],
    ['hsm', { hsm: { body: 'Votre colis' } }, 'text', 'Votre colis'],
    ['poll', { poll: { title: 'Quand ?', options: ['a'] } }, 'poll', 'Quand ?'],
    ['system', { system: { body: 'Numéro changé' } }, 'system', 'Numéro changé'],
    ['product', { product: { product_id: 'p1', catalog_id: 'c1' } }, 'order_context', 'p1'],
    ['catalog', { catalog: { title: 'Notre catalogue' } }, 'order_context', 'Notre catalogue'],
    ['unknown', {}, 'unsupported', null],
    ['text', {}, 'unsupported', null],
    ['text', { text: 'not an object' }, 'unsupported', null],
    ['image', { image: { caption: 'lost' } }, 'unsupported', 'lost'],
    ['something_new', { something_new: { body: 'still readable' } }, 'unsupported', 'still readable'],
  ])('type %s with %j is a %s', (type, content, expected, words) => {
    expect(received(type, content).content).toMatchObject({ type: expected, text: words, attachments: [] })
  })

  test('places and business cards', () => {
    expect(
      received('live_location', { live_location: { latitude: 48.8, longitude: 2.3, caption: 'ici' } }).content,
    ).toMatchObject({
      type: 'location',
      text: 'ici',
      location: { latitude: 48.8, longitude: 2.3, name: null, address: null },
    })
    expect(received('contact', { contact: { name: 'Ça Va', vcard: 'BEGIN:VCARD' } }).content.contacts).toEqual([
      { name: 'Ça Va', vcard: 'BEGIN:VCARD' },
    ])
    expect(received('contact_list', { contact_list: { list: [{ name: 'A' }, { name: 'B' }] } }).content.contacts).toHaveLength(2)
  })

  test('a pressed button has the id that we had sent, without the prefix', () => {
    const button = received('reply', { reply: { type: 'buttons_reply', buttons_reply: { id: 'ButtonsV3:yes', title: 'Oui' } } })
    expect(button.content).toMatchObject({ type: 'reply', text: 'Oui', choice: { id: 'yes', title: 'Oui' } })
    const row = received('reply', { reply: { type: 'list_reply', list_reply: { id: 'ListV3:ButtonsV3:x', title: 'X' } } })
    expect(row.content.choice?.id).toBe('ButtonsV3:x')
  })

  test('a catalogue basket keeps its token, and its price as written', () => {
    const order = { order_id: 'o1', token: 't', item_count: 2, total_price: 1990, currency: 'EUR', title: 'Cart' }
    expect(received('order', { order }).content).toMatchObject({
      type: 'order_context',
      order: { orderId: 'o1', token: 't', itemCount: 2, totalPrice: '1990', currency: 'EUR' },
    })
  })

  test('a type named like a property of every object is only an unknown type', () => {
    for (const type of ['constructor', 'toString', '__proto__'])
      expect(received(type, { [type]: { id: 'f1' } }).content.type).toBe('unsupported')
  })

  test('a long list of large business cards keeps every name', () => {
    const list = Array.from({ length: 50 }, (_, i) => ({ name: `n${i}`, vcard: 'x'.repeat(8_000) }))
    const { contacts } = received('contact_list', { contact_list: { list } }).content
    expect(contacts.map((contact) => contact.name)).toEqual(list.map((card) => card.name))
    expect(contacts.filter((contact) => contact.vcard !== null)).toHaveLength(3)
  })

  test('echoes of our own side are marked, so that no agent answers itself', () => {
    expect(received('text', { from_me: true, source: 'api', from: '33699999999', text: { body: 'Merci' } })).toMatchObject({
      fromUs: true,
      origin: 'api',
      sender: { phone: '+33699999999' },
    })
  })

  test('groups, newsletters and status updates are told apart from people', () => {
    const kind = (chat_id: string) => received('text', { chat_id, text: { body: 'x' } }).chatKind
    expect(kind('120363@g.us')).toBe('group')
    expect(kind('120363@newsletter')).toBe('broadcast')
    expect(kind('status@broadcast')).toBe('broadcast')
    expect(kind('stories')).toBe('broadcast')
    expect(kind('33612345678')).toBe('person')
    const inGroup = received('text', { chat_id: '120363@g.us', from: '33655555555', chat_name: 'Club', text: { body: 'x' } })
    expect(inGroup).toMatchObject({ chatName: 'Club', sender: { id: '33655555555@s.whatsapp.net', phone: '+33655555555' } })
  })

  test('a hidden sender has no phone, although the digits look like one', () => {
    const hidden = received('text', { chat_id: '270000000000001@lid', from: '270000000000001', text: { body: 'SUPPRIMER' } })
    expect(hidden).toMatchObject({ chatKind: 'person', sender: { id: '270000000000001@lid', phone: null } })
    expect(received('text', { chat_id: '1@g.us', from: '270000000000001@lid', text: { body: 'x' } }).sender.phone).toBeNull()
  })

  test('each message of a batch is an item of its own, and an empty batch is none', () => {
    expect(posted()).toEqual({ topic: 'messages.post', items: [] })
    const batch = posted(message('text', { text: { body: '1' } }), 7, message('text', { id: 'm2', text: { body: '2' } }), {
      type: 'text',
    })
    expect(typesOf(batch)).toEqual(['message.received', 'webhook.unrecognised', 'message.received', 'webhook.unrecognised'])
    expect(new Set(batch.items.map((item) => item.dedupeKey)).size).toBe(4)
    expectSound(batch)
  })

  test('a text too long for an event is cut at a character, and says so', () => {
    const result = posted(message('text', { text: { body: '😀'.repeat(30_000) } }))
    const { text } = only(result, messageReceived).content
    expect(text?.isWellFormed()).toBe(true)
    expect(Buffer.byteLength(JSON.stringify(text))).toBeGreaterThan(30_000)
    expect(result.items[0]?.note).toMatch(/cut/)
    const control = only(posted(message('text', { text: { body: '\u0001'.repeat(60_000) } })), messageReceived)
    expect(control.content.text?.length).toBeGreaterThan(5_000)
  })

  test('a chat id that cannot be a subject on the bus does not jam the outbox', () => {
    expect(typesOf(posted(message('text', { chat_id: '.'.repeat(200), text: { body: 'x' } })))).toEqual(['webhook.unrecognised'])
    expect(typesOf(posted(message('text', { chat_id: 'a b', text: { body: 'x' } })))).toEqual(['webhook.unrecognised'])
  })
})

describe('a message told in another form', () => {
  const content = (type: string, part: object) => only(posted(message(type, { [type]: part })), messageReceived).content

  test('a place whose degrees are text is a place', () => {
    const place = content('location', { latitude: '48.8566', longitude: '-2.35', name: 'Paris' })
    expect(place).toMatchObject({ type: 'location', location: { latitude: 48.8566, longitude: -2.35, name: 'Paris' } })
    expect(content('location', { latitude: 'north', longitude: '2' }).type).toBe('unsupported')
  })

  test.each([
    [{ body: '', url: 'https://shop.example/roses' }, 'https://shop.example/roses'],
    [{ link: 'https://shop.example/roses' }, 'https://shop.example/roses'],
    [{ title: 'Roses' }, 'Roses'],
  ])('a preview of a link says what it has: %j', (part, words) => {
    expect(content('link_preview', part)).toMatchObject({ type: 'text', text: words })
  })
})

describe('what happens to messages', () => {
  test('a retry has the key of the first try; an update under the same id has a key of its own', () => {
    const first = posted(message('text', { text: { body: 'a' } })).items[0]?.dedupeKey
    expect(posted(message('text', { text: { body: 'a' } })).items[0]?.dedupeKey).toBe(first)
    const put = (body: string) =>
      normalised(whapiWebhook, delivery('messages', 'put', { messages: [message('text', { text: { body } })] }))
    expect(typesOf(put('a'))).toEqual(['message.received'])
    expect(new Set([first, put('a').items[0]?.dedupeKey, put('b').items[0]?.dedupeKey]).size).toBe(3)
    expect(put('a').items[0]?.dedupeKey).toBe(put('a').items[0]?.dedupeKey)
  })

  test('an edit told as an action and again as a patch is one edit', () => {
    const trigger = message('action', {
      id: 'a1',
      action: { target: 'm1', type: 'edit', edited_type: 'text', edited_content: { body: '2 boîtes' } },
    })
    const before = message('text', { text: { body: '3 boîtes' } })
    const after = message('text', { text: { body: '2 boîtes' } })
    const patch = { id: 'm1', trigger, before_update: before, after_update: after, changes: ['text'] }
    const asPatch = normalised(whapiWebhook, delivery('messages', 'patch', { messages_updates: [patch] }))
    const asAction = posted(trigger)
    expect(only(asAction, messageEdited)).toMatchObject({ providerMessageId: 'm1', text: '2 boîtes' })
    expect(only(asPatch, messageEdited)).toEqual(only(asAction, messageEdited))
    expect(asPatch.items[0]?.dedupeKey).toBe(asAction.items[0]?.dedupeKey)
  })

  test('a patch that changes no text is of no use', () => {
    const same = message('text', { text: { body: 'a' } })
    const patch = { id: 'm1', before_update: same, after_update: { ...same, reactions: [] }, changes: ['reactions'] }
    const result = normalised(whapiWebhook, delivery('messages', 'patch', { messages_updates: [patch] }))
    expect(result.items).toMatchObject([{ event: null, note: 'Changes of reactions are not used.' }])
  })

  test('a reaction is no message, and an empty emoji takes it away', () => {
    const reaction = (emoji: string) =>
      only(posted(message('action', { action: { target: 't1', type: 'reaction', emoji } })), messageReacted)
    expect(reaction('👍')).toMatchObject({
      targetProviderMessageId: 't1',
      emoji: '👍',
      reactorId: '33612345678@s.whatsapp.net',
      fromUs: false,
    })
    expect(reaction('').emoji).toBeNull()
  })

  test('deletions: by action, by bare id, by object, and of a whole chat', () => {
    const removed = (parts: Record<string, unknown>) => normalised(whapiWebhook, delivery('messages', 'delete', parts))
    const byAction = posted(message('action', { id: 'a2', action: { target: 'm1', type: 'delete' } }))
    const byId = removed({ messages_removed: ['m1'] })
    expect(only(byAction, messageDeleted)).toMatchObject({ providerMessageId: 'm1', chatId: '33612345678@s.whatsapp.net' })
    expect(only(byId, messageDeleted)).toMatchObject({ providerMessageId: 'm1', chatId: 'unknown' })
    // The provider's own word must not pass for a repetition of what somebody claimed to delete.
    expect(byId.items[0]?.dedupeKey).not.toBe(byAction.items[0]?.dedupeKey)
    expect(only(removed({ messages_removed: [{ id: 'm1', chat_id: '1@g.us' }] }), messageDeleted).chatId).toBe('1@g.us')
    expect(only(removed({ messages_removed_all: '33612345678@s.whatsapp.net' }), messageDeleted).providerMessageId).toBeNull()
    expect(removed({ messages_removed: [] }).items).toEqual([])
  })

  test.each([0, '0', -1, 99, 1_790_769_600_000, 4_000_000_000])(
    'dated %j happened when they arrived, and the note says so',
    (timestamp) => {
      const { items } = posted(message('text', { timestamp, text: { body: 'x' } }))
      expect(items[0]?.note).toMatch(/time cannot be/)
      const data = items[0]?.event?.data as { sentAt: string }
      expect(data.sentAt).toBe(only(posted(message('text', { timestamp: 0, text: { body: 'x' } })), messageReceived).sentAt)
      expect(Date.parse(data.sentAt)).toBeGreaterThan(Date.UTC(2020, 0, 1))
    },
  )

  test('say in which chat and by whom, so that one id in two chats is two things', () => {
    const edit = { action: { target: 'm1', type: 'edit', edited_content: { body: 'x' } } }
    const inChat = (chat_id: string, type: string, parts: object) => posted(message(type, { id: 'same', chat_id, ...parts }))
    for (const [type, parts] of [
      ['text', { text: { body: 'x' } }],
      ['action', edit],
      ['action', { action: { target: 'm1', type: 'delete' } }],
      ['action', { action: { target: 'm1', type: 'reaction', emoji: '👍' } }],
    ] as const) {
      const [one, other] = [inChat('33612345678@s.whatsapp.net', type, parts), inChat('33687654321@s.whatsapp.net', type, parts)]
      expect(one.items[0]?.dedupeKey).not.toBe(other.items[0]?.dedupeKey)
    }
    expect(only(inChat('33612345678@s.whatsapp.net', 'action', { ...edit, from: '33612345678' }), messageEdited).author).toEqual({
      id: '33612345678@s.whatsapp.net',
      fromUs: false,
    })
    expect(
      only(inChat('33612345678@s.whatsapp.net', 'action', { ...edit, from_me: true, from: '33639980099' }), messageEdited).author,
    ).toEqual({
      id: '33639980099@s.whatsapp.net',
      fromUs: true,
    })
  })

  test.each(['vote', 'ephemeral'])('actions of type %s are recognised and not used', (type) => {
    expect(typesOf(posted(message('action', { action: { target: 't1', type } })))).toEqual(['unused'])
  })

  test('an action we do not know is kept as unrecognised', () => {
    expect(typesOf(posted(message('action', { action: { target: 't1', type: 'pin' } })))).toEqual(['webhook.unrecognised'])
  })
})

describe('statuses', () => {
  const status = (parts: Record<string, unknown>) =>
    normalised(
      whapiWebhook,
      delivery('statuses', 'post', { statuses: [{ id: 's1', recipient_id: '1@g.us', timestamp: '1790769600', ...parts }] }),
    )

  test('go by the word, whatever the code, with seconds that come as text', () => {
    expect(only(status({ code: 99, status: 'read' }), messageStatusChanged)).toMatchObject({
      status: 'read',
      chatId: '1@g.us',
      changedAt: '2026-09-30T12:00:00.000Z',
    })
  })

  test('each status of a message, and each reader of a group, has its own key', () => {
    const keys = [
      status({ status: 'sent' }),
      status({ status: 'read' }),
      status({ status: 'read', viewer_id: '2@s.whatsapp.net' }),
    ]
    expect(new Set(keys.map((result) => result.items[0]?.dedupeKey)).size).toBe(3)
  })

  test('a failure says why, in whichever form', () => {
    const { errors } = only(
      status({ status: 'failed', errors: [{ code: 131, message: 'not on WhatsApp' }, 'blocked', {}] }),
      messageStatusChanged,
    )
    expect(errors).toEqual([
      { code: '131', message: 'not on WhatsApp' },
      { code: null, message: 'blocked' },
      { code: null, message: 'no detail' },
    ])
  })

  test('an unknown status is not guessed', () => {
    expect(typesOf(status({ status: 'warped' }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(status({ status: 'toString' }))).toEqual(['webhook.unrecognised'])
  })
})

describe('the channel', () => {
  const health = (text: string) =>
    only(normalised(whapiWebhook, delivery('channel', 'post', { health: { status: { code: 1, text } } })), channelStatusChanged)

  test('a phone that was logged out calls for a person', () => {
    expect(health('QR')).toMatchObject({ status: 'waiting_for_login', needsPerson: true, accountKey: `whapi:${channel}` })
    expect(health('ERROR')).toMatchObject({ status: 'error', needsPerson: true })
    expect(health('AUTH')).toMatchObject({ status: 'connected', needsPerson: false })
    expect(health('constructor')).toMatchObject({ status: 'unknown', needsPerson: false })
    const loggedOut = normalised(whapiWebhook, delivery('users', 'delete', { user: { id: '1' } }))
    expect(only(loggedOut, channelStatusChanged)).toMatchObject({ status: 'logged_out', needsPerson: true })
    const code = normalised(whapiWebhook, delivery('channel', 'patch', { qr: { status: 'WAITING' } }))
    expect(only(code, channelStatusChanged)).toMatchObject({ status: 'waiting_for_login', needsPerson: true })
  })

  test.each(['chats', 'contacts', 'groups', 'presences', 'calls', 'labels', 'service'])(
    '%s are recognised and not used',
    (type) => {
      expect(typesOf(normalised(whapiWebhook, delivery(type, 'post', {})))).toEqual(['unused'])
    },
  )

  test('the verb may stand under `method`; without a kind of event nothing is guessed', () => {
    const old = {
      messages: [message('text', { text: { body: 'x' } })],
      event: { type: 'messages', method: 'post' },
      channel_id: channel,
    }
    expect(typesOf(normalised(whapiWebhook, old))).toEqual(['message.received'])
    expect(typesOf(normalised(whapiWebhook, { messages: [message('text')] }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(normalised(whapiWebhook, delivery('messages', 'explode', {})))).toEqual(['webhook.unrecognised'])
  })
})
