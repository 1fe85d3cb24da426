import {
  conversationHandedOver,
  type DataOf,
  messageAdded,
  messageUpdated,
  type replyProposed,
  type turnTaken,
} from '@parley/contracts'
import type { World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { vi } from 'vitest'

interface More {
  wantsReply?: boolean
  addedAt?: string
  version?: number
  quotes?: DataOf<typeof messageAdded>['quotes']
}

type Sender = DataOf<typeof messageAdded>['sender']

/** One conversation as the inbox would report it. */
export function openTalk(world: World) {
  const conversationId = randomUUIDv7()
  const customerId = randomUUIDv7()
  let version = 0
  const place = { channel: 'whatsapp', accountId: 'PHONE-1', chatId: '33612345678@s.whatsapp.net' } as const

  async function add(sender: Sender, text: string, more: More = {}): Promise<string> {
    version += 1
    const conversationVersion = more.version ?? version
    const messageId = randomUUIDv7()
    await world.state('agents', messageAdded, {
      ...place,
      conversationId,
      conversationVersion,
      messageId,
      customerId,
      sender,
      content: contentOf(text),
      wantsReply: more.wantsReply ?? sender === 'user',
      quotes: more.quotes ?? null,
      addedAt: more.addedAt ?? new Date().toISOString(),
    })
    return messageId
  }

  async function update(change: 'edited' | 'deleted', messageId: string, text: string | null): Promise<void> {
    await world.state('agents', messageUpdated, {
      conversationId,
      messageId,
      change,
      status: change === 'deleted' ? 'deleted' : 'received',
      errors: [],
      content: text === null ? null : contentOf(text),
      reaction: null,
      updatedAt: new Date().toISOString(),
    })
  }

  return {
    ...place,
    conversationId,
    customerId,
    says: (text: string, more?: More) => add('user', text, more),
    add,
    edits: (messageId: string, text: string) => update('edited', messageId, text),
    deletes: (messageId: string) => update('deleted', messageId, null),
    /** The words that the service has of a conversation, oldest first. */
    async words(): Promise<string[]> {
      const words = `select text from agents.messages where conversation_id = $1 order by version`
      return (await world.sql<{ text: string }>(words, [conversationId])).map(({ text }) => text)
    },
    handOver: () =>
      world.state('agents', conversationHandedOver, {
        conversationId,
        customerId,
        reason: 'person_took_over',
        note: null,
        handedOverAt: new Date().toISOString(),
      }),
    /** Everything that was said has been noted by the service. */
    async noted(): Promise<void> {
      await vi.waitUntil(
        async () => {
          const rows = await world.sql(`select 1 from agents.messages where conversation_id = $1`, [conversationId])
          return rows.length === version
        },
        { timeout: 10_000 },
      )
    },
    /** That many turns have been taken, and nothing more is going on. */
    async taken(count: number): Promise<void> {
      await vi.waitUntil(async () => (await stated('turn.taken')).length >= count, { timeout: 20_000 })
      await world.settle()
    },
    async turns(): Promise<DataOf<typeof turnTaken>[]> {
      return (await stated('turn.taken')) as DataOf<typeof turnTaken>[]
    },
    async replies(): Promise<DataOf<typeof replyProposed>[]> {
      return (await stated('reply.proposed')) as DataOf<typeof replyProposed>[]
    },
  }

  async function stated(type: string): Promise<unknown[]> {
    const events = await world.events('agents', type)
    return events.filter((event) => event.key === conversationId).map((event) => event.data)
  }
}

function contentOf(text: string): DataOf<typeof messageAdded>['content'] {
  return { type: 'text', text, attachments: [], location: null, contacts: [], choice: null, order: null }
}
