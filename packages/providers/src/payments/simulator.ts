import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Agent } from 'undici'
import { exchange } from '../http/exchange.ts'
import { type PaymentEvent, signatureOf } from './webhook.ts'

/** What happened at the provider; everything that is not said has a sensible value. */
export type Happening = Pick<PaymentEvent, 'type' | 'organizationId'> & Partial<PaymentEvent>

export interface SentDelivery {
  eventId: string
  /** Of the last try; 0: no answer. */
  status: number
  tries: number
}

export interface PaymentSimulator {
  /** Calls the webhook as a provider would: signed, and again when it is not answered with 2xx. */
  tells(happening: Happening, how?: { at?: Date; secret?: string; times?: number }): Promise<SentDelivery>
  /** All deliveries, oldest first. */
  deliveries: readonly SentDelivery[]
  close(): Promise<void>
}

const tries = 3
const retryMs = 50

/** A payment provider's other side: it takes no money and tells of it. What it sends is what Standard Webhooks 1.0 prescribes. */
export function openPaymentSimulator(options: { webhookUrl: string; secret: string }): PaymentSimulator {
  const dispatcher = new Agent()
  const deliveries: SentDelivery[] = []

  async function post(eventId: string, body: string, at: Date, secret: string): Promise<number> {
    const timestamp = String(Math.floor(at.getTime() / 1_000))
    const signature = signatureOf(secret, eventId, timestamp, body).toString('base64')
    const answer = await exchange(dispatcher, {
      method: 'POST',
      url: options.webhookUrl,
      headers: {
        'content-type': 'application/json',
        'webhook-id': eventId,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
      body,
      timeoutMs: 5_000,
      maxAnswerBytes: 64 * 1024,
    })
    return answer.ok ? answer.status : 0
  }

  return {
    deliveries,
    async tells(happening, how = {}) {
      const { eventId = `evt_${randomUUID()}`, type, occurredAt = new Date().toISOString(), ...said } = happening
      const data = {
        transactionId: null,
        subscriptionId: null,
        providerTransactionId: `pay_${randomUUID()}`,
        amountMinor: 0,
        currency: 'USD',
        paymentMethod: 'card',
        invoiceUrl: null,
        reason: null,
        ...said,
      }
      const body = JSON.stringify({ type, timestamp: occurredAt, data })
      const delivery: SentDelivery = { eventId, status: 0, tries: 0 }
      deliveries.push(delivery)
      while (delivery.tries < (how.times ?? tries)) {
        delivery.tries += 1
        delivery.status = await post(eventId, body, how.at ?? new Date(), how.secret ?? options.secret)
        const isTaken = delivery.status >= 200 && delivery.status < 300
        // A given number of times is a provider that lost our answers.
        if (isTaken && how.times === undefined) break
        if (!isTaken && delivery.tries < tries) await wait(retryMs)
      }
      return delivery
    },
    close: () => dispatcher.close(),
  }
}
