import { toChatId } from './client-lookup.ts'
import type { SimulatedMessage } from './simulator-payloads.ts'

/** One message that the gateway accepted. */
export interface SentEntry {
  id: string
  to: string
  chatId: string
  type: string
  /** Text, body above buttons, or caption; null when there is none. */
  text: string | null
  quoted: string | null
  message: SimulatedMessage
  at: Date
}

export interface Ledger {
  /** Everything accepted, oldest first. */
  sent: readonly SentEntry[]
  sentTo(chat: string): SentEntry[]
  /** Resolves with the first accepted message that matches, also one from before; rejects after `deadlineMs` (default 5 s). */
  waitForSent(matches: (entry: SentEntry) => boolean, deadlineMs?: number): Promise<SentEntry>
}

/** The simulator's book of accepted messages: the truth about how often a customer would have heard from us. */
export function createLedger(): Ledger & { add(message: SimulatedMessage, to: string, at: Date): void; close(): void } {
  type Waiter = { matches: (entry: SentEntry) => boolean; resolve: (entry: SentEntry) => void; reject: (error: Error) => void }
  const sent: SentEntry[] = []
  const waiters = new Set<Waiter>()

  return {
    sent,
    sentTo: (chat) => sent.filter((entry) => entry.chatId === toChatId(chat)),
    waitForSent: (matches, deadlineMs = 5_000) => {
      const already = sent.find(matches)
      if (already) return Promise.resolve(already)
      const { promise, resolve, reject } = Promise.withResolvers<SentEntry>()
      const waiter = { matches, resolve, reject }
      waiters.add(waiter)
      const timer = setTimeout(() => {
        reject(new Error(`No such message within ${deadlineMs} ms; the gateway took ${sent.length} messages in all.`))
      }, deadlineMs)
      return promise.finally(() => {
        clearTimeout(timer)
        waiters.delete(waiter)
      })
    },
    add(message, to, at) {
      const quoted = message.context?.quoted_id
      const entry: SentEntry = {
        id: message.id,
        to,
        chatId: message.chat_id,
        type: message.type,
        text: textOf(message),
        quoted: typeof quoted === 'string' ? quoted : null,
        message,
        at,
      }
      sent.push(entry)
      for (const waiter of waiters) if (waiter.matches(entry)) waiter.resolve(entry)
    },
    close() {
      for (const waiter of waiters) waiter.reject(new Error('The simulator was closed.'))
    },
  }
}

function textOf(message: SimulatedMessage): string | null {
  const content = message[message.type] as { body?: string | { text?: string }; caption?: string } | undefined
  const body = typeof content?.body === 'object' ? content.body.text : content?.body
  return body ?? content?.caption ?? null
}
