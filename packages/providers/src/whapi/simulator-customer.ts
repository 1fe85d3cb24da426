import { toChatId } from './client-lookup.ts'
import type { Delivery } from './simulator-callbacks.ts'
import { type Content, says, type SimulatedMessage, webhookPayload } from './simulator-payloads.ts'

export type CustomerMessage = {
  /** Digits of the customer's phone. */
  from: string
  name?: string
  /** Default: the customer's own chat; a `…@g.us` id for a group, a `…@lid` id for a hidden number. */
  chatId?: string
  id?: string
  at?: Date
  source?: string
  /** Post again until a 2xx. Default false: the first answer is what the test wants to see. */
  persist?: boolean
} & ({ text: string } | { content: Content })

/** What our side answered, and the id of the message. */
export type CustomerDelivery = Delivery & { messageId: string }

export interface Customer {
  /** A customer writes: the gateway posts it to our webhook. Resolves with what our side answered. */
  customerSends(message: CustomerMessage): Promise<CustomerDelivery>
  /** The customer presses the n-th button (from 0) of a message that we sent. */
  customerPresses(messageId: string, index: number, customer: { from: string; name?: string }): Promise<CustomerDelivery>
  /** The customer changes the text of a message of theirs. */
  customerEdits(messageId: string, text: string): Promise<Delivery>
  /** The customer deletes a message: the gateway names its id and nothing else. */
  customerDeletes(messageId: string): Promise<Delivery>
}

/** The customer's side of the simulated gateway. */
export function createCustomer(gateway: {
  channelId: string
  now: () => Date
  newId: () => string
  remember: (message: SimulatedMessage) => SimulatedMessage
  message: (id: string) => SimulatedMessage | undefined
  post: (payload: unknown, options?: { persist?: boolean }) => Promise<Delivery>
}): Customer {
  const { channelId, now, newId, remember, post } = gateway
  const seconds = (at: Date) => Math.floor(at.getTime() / 1000)

  function known(id: string): SimulatedMessage {
    const message = gateway.message(id)
    if (!message) throw new RangeError(`The simulator knows no message '${id}'.`)
    return message
  }

  async function customerSends(message: CustomerMessage): Promise<CustomerDelivery> {
    const content = 'content' in message ? message.content : says.text(message.text)
    const stored = remember({
      id: message.id ?? newId(),
      ...content,
      chat_id: message.chatId ?? toChatId(message.from),
      from_me: false,
      from: message.from,
      from_name: message.name ?? 'Zoé',
      timestamp: seconds(message.at ?? now()),
      source: message.source ?? 'mobile',
    })
    const payload = webhookPayload(channelId, 'messages', 'post', { messages: [stored] })
    return { ...(await post(payload, { persist: message.persist ?? false })), messageId: stored.id }
  }

  return {
    customerSends,
    customerPresses: async (messageId, index, customer) => {
      const { interactive } = known(messageId) as { interactive?: { action?: { buttons?: { id: string; title: string }[] } } }
      const button = interactive?.action?.buttons?.[index]
      if (!button) throw new RangeError(`Message '${messageId}' has no button ${index}.`)
      return customerSends({ ...customer, content: says.button(button.id, button.title, messageId) })
    },
    customerEdits: async (messageId, text) => {
      const before = { ...known(messageId) }
      const { id: _, text: __, ...common } = before
      const action = { target: messageId, type: 'edit', edited_type: 'text', edited_content: { body: text } }
      const trigger = { ...common, id: newId(), type: 'action', timestamp: seconds(now()), action }
      const after = Object.assign(known(messageId), { text: { body: text } })
      const update = { id: messageId, trigger, before_update: before, after_update: { ...after }, changes: ['text'] }
      return post(webhookPayload(channelId, 'messages', 'patch', { messages_updates: [update] }))
    },
    customerDeletes: async (messageId) =>
      post(webhookPayload(channelId, 'messages', 'delete', { messages_removed: [known(messageId).id] })),
  }
}
