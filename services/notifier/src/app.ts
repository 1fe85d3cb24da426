import {
  createSeldom,
  kit,
  number,
  type OpenContext,
  openSealingKeys,
  type SealingKeys,
  sealingKey,
  type Seldom,
} from '@parley/runtime'
import { z } from 'zod'
import { type ClientCache, createClientCache } from './clients.ts'
import { reserveChannelSlots } from './db/rate-slots.ts'
import type { DB } from './db/types.ts'
import { createPacer, type Pacer } from './pace.ts'

const defaultGateway = 'https://gate.whapi.cloud'

/** Addresses as origins, without a path, so that comparing them is comparing texts. */
const gatewayList = z
  .string()
  .default(defaultGateway)
  .transform((list, context) => {
    const origins: string[] = []
    for (const entry of list.split(',').map((part) => part.trim())) {
      const url = URL.parse(entry)
      if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/')
        context.addIssue(`'${entry}' is not the address of a gateway`)
      else origins.push(url.origin)
    }
    return origins
  })

export const NotifierConfig = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
  /** Messages a second of one WhatsApp channel, where the channel itself says nothing. */
  NOTIFIER_WHATSAPP_PER_SECOND: number(20, { min: 0.01, max: 10_000 }),
  /**
   * The gateways that a channel may name, comma-separated; the first is the default. A list and not free text: who may set a
   * channel could otherwise make us call addresses inside our own network (reliability.md D28).
   */
  NOTIFIER_WHAPI_GATEWAYS: gatewayList,
  /**
   * How long the gateway's list of messages may not yet show one that it took. The vendor says nothing of it; six seconds have been
   * met, so the default is more than twice that. Sooner, a message whose answer was lost would be sent again beside the first.
   */
  NOTIFIER_WHAPI_LIST_LAG_SECONDS: number(15, { min: 0, max: 3_600 }),
})
export type NotifierConfig = z.infer<typeof NotifierConfig>

export interface App {
  keys: SealingKeys
  clients: ClientCache
  pacer: Pacer
  /** Which connections are to be reported as working again. */
  useReports: Seldom
  gateways: readonly string[]
  defaultPerSecond: number
  listLagMs: number
  eraseEvents: OpenContext<DB, NotifierConfig>['eraseEvents']
  now(): Date
}

/** Longest wait for a slot inside a job; a channel that is booked out for longer has the job come back later. */
const maxSlotWaitMs = 10_000
const useReportEveryMs = 3_600_000

export async function openApp({ config, database, eraseEvents, now }: OpenContext<DB, NotifierConfig>): Promise<App> {
  const keys = openSealingKeys(config.PARLEY_SECRET_KEY, config.PARLEY_SECRET_KEY_PREVIOUS)
  return {
    keys,
    clients: createClientCache(keys),
    pacer: createPacer((channel, count) =>
      database.commit({ organizationId: channel.organizationId }, (tx) =>
        reserveChannelSlots(
          tx,
          channel.organizationId,
          channel.accountId,
          { perSecond: channel.perSecond, maxWaitMs: maxSlotWaitMs },
          count,
        ),
      ),
    ),
    useReports: createSeldom({ everyMs: useReportEveryMs }),
    gateways: config.NOTIFIER_WHAPI_GATEWAYS,
    defaultPerSecond: config.NOTIFIER_WHATSAPP_PER_SECOND,
    listLagMs: config.NOTIFIER_WHAPI_LIST_LAG_SECONDS * 1_000,
    eraseEvents,
    now,
  }
}

export const { on, job, route } = kit<App, DB>()
