import type { Command } from 'commander'
import { z } from 'zod'
import { findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { homeOf } from '../home.ts'
import { Receipt } from '../trace/collect.ts'
import { dataOption, jsonOption, moment, wholeNumber } from './options.ts'
import { table } from './table.ts'

interface Common {
  json?: true
  data?: string
}
const Page = z.object({ items: z.array(Receipt.loose()), total: z.number() })
const Whole = Receipt.loose().extend({
  headers: z.record(z.string(), z.string()),
  body: z.string().nullable(),
  bodyEncoding: z.string().nullable(),
})
const Replayed = Receipt.loose().extend({ newEvents: z.number() })

export function addReceipts(parley: Command, context: Context): void {
  const receipts = parley.command('receipts').description('The webhook deliveries that were accepted.')
  const api = (options: Common) => findApi(homeOf(options.data, context.environment), context.environment)

  receipts
    .command('list')
    .description('Deliveries, latest first.')
    .option('--state <state>', 'done, ignored or dead')
    .option('--provider <name>', 'whapi, shopify, elevenlabs or tavus')
    .option('--since <moment>', 'not before: ISO 8601, or 15m, 2h, 3d ago', (text: string) => moment(text))
    .option('--limit <n>', 'how many', wholeNumber(1, 100), 25)
    .option('--page <n>', 'which page', wholeNumber(1, 100_000), 1)
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Common & { state?: string; provider?: string; since?: string; limit: number; page: number }) => {
      const { state, provider, since, limit, page } = options
      const query = new URLSearchParams({ limit: String(limit), page: String(page) })
      for (const [name, value] of Object.entries({ state, provider, since })) if (value !== undefined) query.set(name, value)
      const found = await api(options).get(`/v1/receipts?${query}`, Page)
      if (options.json) return context.out(JSON.stringify(found, null, 2))
      const rows = found.items.map((item) => [
        item.id,
        item.receivedAt,
        item.provider,
        item.topic,
        item.state,
        String(item.eventCount),
        item.note ?? item.error ?? '',
      ])
      for (const line of table(['receipt', 'received', 'provider', 'topic', 'state', 'events', 'note'], rows)) context.out(line)
      context.out(`${found.items.length} of ${found.total}`)
    })

  receipts
    .command('show')
    .description('One delivery with what was sent.')
    .argument('<id>')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (id: string, options: Common) => {
      const receipt = await api(options).get(`/v1/receipts/${encodeURIComponent(id)}`, Whole)
      if (options.json) return context.out(JSON.stringify(receipt, null, 2))
      const { headers, body, bodyEncoding, ...facts } = receipt
      for (const [name, value] of Object.entries(facts))
        context.out(`${name.padEnd(16)} ${typeof value === 'string' ? value : JSON.stringify(value ?? '-')}`)
      for (const [name, value] of Object.entries(headers)) context.out(`> ${name}: ${value}`)
      context.out(
        body === null
          ? '(its body is not kept: a duplicate, or erased)'
          : bodyEncoding === 'utf8'
            ? body
            : `(${bodyEncoding}) ${body}`,
      )
    })

  receipts
    .command('replay')
    .description('Read a stored delivery again; what it told before is not told twice.')
    .argument('<id>')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (id: string, options: Common) => {
      const replayed = await api(options).post(`/v1/receipts/${encodeURIComponent(id)}/replay`, {}, Replayed)
      if (options.json) return context.out(JSON.stringify(replayed, null, 2))
      context.out(
        `Receipt ${replayed.id} was read again: ${replayed.newEvents} new events, state ${replayed.state}. \`parley why ${replayed.id}\` shows what follows.`,
      )
    })
}
