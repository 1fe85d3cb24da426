import { Pool } from 'undici'
import { z } from 'zod'

/** The task that both sides do: this webhook comes in, and its text goes out once. */
export const Order = z.object({ id: z.string().min(1).max(100), to: z.string().min(1).max(50), text: z.string().max(1_000) })
export type Order = z.infer<typeof Order>

export const body = JSON.stringify({
  id: 'order-{{n}}',
  to: '33612345678',
  text: 'Your order is on its way: it left our warehouse this morning and should be with you on Tuesday.',
})

export interface PeerSettings {
  adminUrl: string
  natsUrl: string
  root: string
  sinkUrl: string
  /** Jobs at once and connections to Postgres: the same for both. */
  concurrency: number
  connections: number
}

export interface Sink {
  send(order: Order): Promise<{ reference: string }>
  close(): Promise<void>
}

/** The client of the outside system, the same for both sides. Rejects unless it answers 200 within 10 s. */
export function openSink(sinkUrl: string, connections: number): Sink {
  const pool = new Pool(sinkUrl, { connections, headersTimeout: 10_000, bodyTimeout: 10_000 })
  return {
    async send(order) {
      const answer = await pool.request({
        method: 'POST',
        path: '/messages',
        headers: { 'content-type': 'application/json', 'idempotency-key': order.id },
        body: JSON.stringify({ to: order.to, text: order.text }),
      })
      const { id } = (await answer.body.json()) as { id: string }
      if (answer.statusCode !== 200) throw new Error(`The sink answered ${answer.statusCode}.`)
      return { reference: id }
    },
    close: () => pool.close(),
  }
}
