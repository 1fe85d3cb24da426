import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { Api } from './api.ts'
import { failure } from './failure.ts'
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

/** Who owns the demo organization unless PARLEY_OWNER_EMAIL names somebody. They get in by a link, which `parley mail` shows. */
export const demoOwnerEmail = 'owner@demo.example'

/**
 * Brings the demo organization about through the services' own routes: the organization with an owner, a door for the channel's
 * webhooks and the channel to send through. Again at every start; what is there already is kept. Resolves true when `state` has
 * something new to remember.
 */
export async function provisionDemo(api: Api, state: State, channel: DemoChannel, ownerEmail = demoOwnerEmail): Promise<boolean> {
  const isNew = await ensureOrganization(api, state, ownerEmail)
  const changed = (await ensureSource(api, state, channel)) || isNew
  await api.put(
    `/v1/channels/${encodeURIComponent(channel.accountId)}`,
    { token: channel.token, ...(channel.gateway === undefined ? {} : { baseUrl: channel.gateway }) },
    z.object({ accountId: z.string() }),
  )
  return changed
}

const subscriptionWithinMs = 30_000

/**
 * The organization has the id that the operator's key is for, so that a home from before accounts keeps its data. Its plan's limits
 * are lifted once: a machine of one's own is not to fall silent at the five hundredth message of a month. What an operator agrees
 * later stays.
 */
async function ensureOrganization(api: Api, state: State, ownerEmail: string): Promise<boolean> {
  const wanted = { name: 'Demo', ownerEmail, ownerName: 'Demo owner', timezone: 'Europe/Paris', locale: 'fr-FR', currency: 'EUR' }
  const { created } = await api.post('/v1/operator/organizations', wanted, z.object({ created: z.boolean() }))
  if (!created && state.organizationMade) return false
  // The subscription follows from the event; until accounts has heard its own there is nothing to agree about.
  const deadline = performance.now() + subscriptionWithinMs
  while ((await api.find('/v1/subscription', z.object({ current: z.object({ plan: z.string() }) }))) === undefined) {
    if (performance.now() > deadline) throw failure('accounts gave the demo organization no subscription within 30 s.')
    await setTimeout(100)
  }
  const unlimited = { messages: null, aiRequests: null, customers: null, aiSpendMicros: null }
  await api.put('/v1/operator/limits', unlimited, z.object({ limits: z.object({}) }))
  state.organizationMade = true
  return true
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
