import { z } from 'zod'
import type { Api } from './api.ts'
import type { State } from './home.ts'

const Source = z.object({ id: z.string(), status: z.string() })
const NewSource = Source.extend({
  path: z.string().nullable(),
  header: z.object({ name: z.string(), value: z.string() }).nullable(),
})

/** The WhatsApp channel of the demo organization: simulated, or a real one out of the environment. */
export interface DemoChannel {
  accountId: string
  token: string
  /** Undefined: the provider's own. */
  gateway: string | undefined
}

/**
 * Brings the demo organization about through the services' own routes: a door for the channel's webhooks and the channel to send
 * through. Again at every start; what is there already is kept. Resolves true when `state` has something new to remember.
 */
export async function provisionDemo(api: Api, state: State, channel: DemoChannel): Promise<boolean> {
  const changed = await ensureSource(api, state, channel)
  await api.put(
    `/v1/channels/${encodeURIComponent(channel.accountId)}`,
    { token: channel.token, ...(channel.gateway === undefined ? {} : { baseUrl: channel.gateway }) },
    z.object({ accountId: z.string() }),
  )
  return changed
}

async function ensureSource(api: Api, state: State, channel: DemoChannel): Promise<boolean> {
  const known = state.sources[channel.accountId]
  if (known) {
    const { items } = await api.get(
      '/v1/webhook-sources?provider=whapi&status=active&limit=100',
      z.object({ items: z.array(Source) }),
    )
    if (items.some(({ id }) => id === known.id)) return false
  }
  // The first time, or the database is a new one.
  const wanted = { provider: 'whapi', accountId: channel.accountId, name: 'Demo WhatsApp' }
  const made = await api.post('/v1/webhook-sources', wanted, NewSource)
  if (made.path === null || made.header === null)
    throw new Error('ingest opened a webhook source without an address or a header.')
  state.sources[channel.accountId] = { id: made.id, path: made.path, header: made.header }
  return true
}
