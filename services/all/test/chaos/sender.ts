import { says, type SimulatedMessage, webhookPayload } from '@parley/providers/whapi'
import { setTimeout as wait } from 'node:timers/promises'
import type { Ledger, Send } from './ledger.ts'
import type { Random } from './random.ts'
import { refOf } from './refs.ts'
import type { World } from './world.ts'

export interface Sender {
  /** A customer who has not written yet. */
  newCustomer(): Customer
  /** Posts a webhook as the gateway does: again and again until a 2xx, a step longer each time. Never rejects. */
  post(payload: unknown, fact: { id: string; ref: string | null; chat: string }): Promise<Send>
  /** Posts once: what the door answers. Status 0 when nothing came back. */
  postOnce(payload: unknown): Promise<{ status: number | string; body: string }>
  /** Traffic like a shop's until `stop`: bursts, duplicates, and messages that overtake each other. */
  load(options: LoadOptions): Load
}

export interface Customer {
  phone: string
  chat: string
  /** The payload of one more message, without sending it. */
  message(content?: {
    text?: string
    /** Characters of a text that is not given. */
    length?: number
    content?: ReturnType<typeof says.text>
    id?: string
    atSeconds?: number
  }): {
    payload: unknown
    stored: SimulatedMessage
    fact: { id: string; ref: string | null; chat: string }
  }
  /** Writes a text that wants an answer; resolves when the door took it. */
  writes(text?: string): Promise<Send>
}

export interface LoadOptions {
  customersAtOnce: number
  /** Pause of a customer between two bursts, at most. */
  pauseMs: number
}

export interface Load {
  /** No new messages; resolves when all that were begun have ended. */
  stop(): Promise<void>
}

/** How long the gateway goes on trying before we call it lost; longer than any fault here lasts. */
const giveUpMs = 180_000
const timeoutMs = 15_000
/** Answers are held back after ten in ten minutes to one chat: a customer stops well before. */
const messagesPerCustomer = 8

/** `from`: numbers customers and messages from here on, so that several senders never use one twice. */
export function createSender(
  world: Pick<World, 'webhook' | 'channelId'>,
  ledger: Ledger,
  random: Random,
  { from = 0 }: { from?: number } = {},
): Sender {
  let customers = from
  let messages = from
  const run = random.int(0, 0xffff).toString(16).padStart(4, '0')

  async function postOnce(payload: unknown): Promise<{ status: number | string; body: string }> {
    try {
      const response = await fetch(world.webhook.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...world.webhook.headers },
        body: JSON.stringify(payload),
        signal: AbortSignal.timeout(timeoutMs),
      })
      return { status: response.status, body: await response.text() }
    } catch (error) {
      const { cause, name } = error as Error & { cause?: { code?: string } }
      return { status: cause?.code ?? name, body: '' }
    }
  }

  async function post(payload: unknown, fact: { id: string; ref: string | null; chat: string }): Promise<Send> {
    await ledger.begin(fact)
    const begunAt = performance.now()
    const send: Send = { ...fact, begunAt, endedAt: begunAt, outcome: 'fail', answers: [], receiptIds: [] }
    for (let tries = 1; ; tries++) {
      const { status, body } = await postOnce(payload)
      send.answers.push(status)
      if (typeof status === 'number' && status >= 200 && status < 300) {
        send.outcome = 'ok'
        send.receiptIds.push((JSON.parse(body) as { receiptId: string }).receiptId)
        break
      }
      // A 4xx is a decision; of a 5xx or a broken line we cannot know what happened before it.
      if (typeof status !== 'number' || status >= 500) send.outcome = 'info'
      else break
      if (performance.now() - begunAt > giveUpMs) break
      await wait(Math.min(100 * tries, 1_000))
    }
    send.endedAt = performance.now()
    await ledger.end(send)
    return send
  }

  function newCustomer(): Customer {
    const number = ++customers
    const phone = `336${run.replace(/[a-f]/g, (digit) => String(digit.charCodeAt(0) % 10))}${String(number).padStart(5, '0')}`
    const chat = `${phone}@s.whatsapp.net`
    const message: Customer['message'] = ({ text, length, content, id, atSeconds } = {}) => {
      const ref = refOf(++messages)
      const stored: SimulatedMessage = {
        id: id ?? `${run}${String(messages).padStart(8, '0')}chaos-gCHAOS`,
        ...(content ?? says.text(text ?? `Bonjour ${ref}`.padEnd(length ?? 0, ' très'))),
        chat_id: chat,
        from_me: false,
        from: phone,
        from_name: `Client ${number}`,
        timestamp: atSeconds ?? Math.floor(Date.now() / 1000),
        source: 'mobile',
      }
      const payload = webhookPayload(world.channelId, 'messages', 'post', { messages: [stored] })
      return { payload, stored, fact: { id: stored.id, ref: content || text !== undefined ? null : ref, chat } }
    }
    return {
      phone,
      chat,
      message,
      writes(text) {
        const { payload, fact } = message(text === undefined ? {} : { text })
        return post(payload, fact)
      },
    }
  }

  function load({ customersAtOnce, pauseMs }: LoadOptions): Load {
    let stopping = false
    const pauses = new AbortController()
    const pause = (ms: number) => wait(ms, undefined, { signal: pauses.signal }).catch(() => undefined)

    async function customerLife(own: Random): Promise<void> {
      const customer = newCustomer()
      for (let left = messagesPerCustomer; left > 0 && !stopping; ) {
        const burst = Array.from({ length: Math.min(left, own.int(1, 3)) }, () => customer.message())
        left -= burst.length
        if (own.chance(0.15)) {
          // They overtake each other on the way.
          await Promise.all(own.shuffled(burst).map(({ payload, fact }) => post(payload, fact)))
        } else {
          for (const { payload, fact } of burst) {
            const sent = post(payload, fact)
            // The gateway lost our answer and repeats itself, now or a moment later.
            if (own.chance(0.1)) await Promise.all([sent, pause(own.int(0, 300)).then(() => post(payload, fact))])
            else await sent
          }
        }
        await pause(own.int(50, pauseMs))
      }
    }
    const lives = Array.from({ length: customersAtOnce }, async (_, index) => {
      const own = random.fork(`customer ${index}`)
      while (!stopping) await customerLife(own)
    })
    return {
      async stop() {
        stopping = true
        pauses.abort()
        await Promise.all(lives)
      },
    }
  }

  return { newCustomer, post, postOnce, load }
}
