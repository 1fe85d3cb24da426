import type { Answer, NoAnswer } from '../http/exchange.ts'
import { parseJson } from '../http/exchange.ts'
import { type GatewayMessage, isRecord, type NotDone, readFailure, readGatewayMessage } from './client-outcomes.ts'

export interface FindSent {
  /** Digits or a full chat id. */
  chatId: string
  /** The earliest moment at which the message may have gone out; take off what you distrust of either clock. */
  since: Date
  /** True for the message you mean. It sees our own messages only; leave out ids that you already know. */
  matches: (message: GatewayMessage) => boolean
}

/** `absent` is a proof for this moment: everything since `since` was read. `unsure`: there was more than we are willing to read. */
export type Found =
  | { outcome: 'found'; providerMessageId: string; sentAt: string }
  | { outcome: 'absent' }
  | { outcome: 'unsure'; message: string }
  | Exclude<NotDone, { outcome: 'unknown' }>

const pageSize = 100
const maxPages = 5

/**
 * Looks for a message whose send had an unknown outcome: newest first, our own only (`from_me=true`), at most five pages of
 * a hundred. Messages that arrive meanwhile shift the pages towards us, so one may be seen twice but none is skipped.
 */
export async function findSentMessage(
  get: (path: string) => Promise<Answer | NoAnswer>,
  now: () => Date,
  query: FindSent,
): Promise<Found> {
  // The gateway counts whole seconds, so a message of 10.9 s carries 10: rounding up would miss it.
  const sinceSeconds = Math.floor(query.since.getTime() / 1000)
  for (let page = 0; page < maxPages; page++) {
    const parameters = new URLSearchParams({
      count: String(pageSize),
      offset: String(page * pageSize),
      time_from: String(sinceSeconds),
      from_me: 'true',
      sort: 'desc',
    })
    const answer = await get(`/messages/list/${encodeURIComponent(toChatId(query.chatId))}?${parameters}`)
    if (answer.ok && answer.status === 404) return { outcome: 'absent' } // no such chat: nothing ever went there
    if (!answer.ok || answer.status !== 200) return asReadFailure(readFailure(answer, now()))
    const messages = readList(answer)
    if (!messages)
      return { outcome: 'retry', afterMs: null, status: answer.status, message: 'The gateway gave an unreadable list.' }
    for (const message of messages.parsed) {
      // Filters are checked again here: an ignored parameter must not turn a customer's words into our own.
      if (!message.fromMe || Date.parse(message.sentAt) < sinceSeconds * 1000) continue
      if (query.matches(message)) return { outcome: 'found', providerMessageId: message.id, sentAt: message.sentAt }
    }
    const oldest = messages.parsed.at(-1)
    if (messages.count < pageSize || (oldest && Date.parse(oldest.sentAt) < sinceSeconds * 1000)) return { outcome: 'absent' }
  }
  return { outcome: 'unsure', message: `More than ${maxPages * pageSize} messages of ours in that chat since then.` }
}

/** Reading changes nothing, so an unknown outcome of a read is simply one to repeat. */
export function asReadFailure(failure: NotDone): Exclude<NotDone, { outcome: 'unknown' }> {
  if (failure.outcome !== 'unknown') return failure
  return { outcome: 'retry', afterMs: null, status: null, message: failure.message }
}

/** The chat of a phone number: the gateway's lists want the full id, its sends take either (providers.md §1). */
export function toChatId(to: string): string {
  return to.includes('@') ? to : `${to.replace(/\D/g, '')}@s.whatsapp.net`
}

function readList(answer: Answer): { parsed: GatewayMessage[]; count: number } | undefined {
  const body = parseJson(answer.body.toString('utf8'))
  if (!isRecord(body) || !Array.isArray(body.messages)) return undefined
  const parsed = body.messages.map(readGatewayMessage).filter((message) => message !== undefined)
  return { parsed, count: body.messages.length }
}
