import { openWhapi, type Whapi } from '@parley/providers/whapi'
import { openText, type SealingKeys } from '@parley/runtime'
import { tokenPlace } from './db/channels.ts'

export interface ClientCache {
  /** The client of a channel as its row says now. */
  get(channel: ClientChannel): Whapi
  close(): Promise<void>
}

interface ClientChannel {
  organizationId: string
  accountId: string
  baseUrl: string
  sealedToken: string
  tokenVersion: number
}

const mostClients = 5_000
/** The whole call: queueing, connecting, sending, the complete answer. */
const timeoutMs = 10_000

/**
 * Clients by channel and token version. One that is replaced is let go without closing it: a send may be under way through it,
 * and its idle connections close themselves.
 */
export function createClientCache(keys: SealingKeys): ClientCache {
  const clients = new Map<string, { made: string; client: Whapi }>()
  return {
    get(channel) {
      const key = `${channel.organizationId}/${channel.accountId}`
      const made = `${channel.tokenVersion} ${channel.baseUrl}`
      const known = clients.get(key)
      if (known?.made === made) return known.client
      const token = openText(keys, tokenPlace(channel.organizationId, channel.accountId), channel.sealedToken)
      const client = openWhapi({ baseUrl: channel.baseUrl, token, timeoutMs })
      const oldest = clients.keys().next()
      if (clients.size >= mostClients && !oldest.done) clients.delete(oldest.value)
      clients.set(key, { made, client })
      return client
    },
    async close() {
      await Promise.all([...clients.values()].map(({ client }) => client.close()))
    },
  }
}
