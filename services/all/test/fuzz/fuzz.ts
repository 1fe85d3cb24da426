import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes } from 'node:crypto'
import type { Random } from '../chaos/random.ts'
import { allServices } from '../../src/index.ts'
import { anyCall, longestCalls, readRoutes } from './calls.ts'
import {
  account,
  greeting,
  type Provider,
  proofOf,
  readSamples,
  renewed,
  type Sample,
  shop,
  signingSecret,
} from './deliveries.ts'
import { anyHeavy, anyMutation, changed, type Place, placesOf, write } from './mutations.ts'

interface Door {
  path: string
  header: { name: string; value: string } | null
}

/** A whole product with a door for each provider, and simulators behind it. */
export interface Ground {
  world: World
  doors: Record<Provider, Door>
  close(): Promise<void>
}

/** What a run found, and how often each answer was given, which tells whether it tried anything. */
export interface Findings {
  broken: string[]
  deliveries: number
  calls: number
  statuses: Record<string, number>
}

export async function openGround(servers: { postgresUrl: string; natsUrl: string }): Promise<Ground> {
  const model: ModelSimulator = await startModelSimulator()
  const phone: WhapiSimulator = await startWhapiSimulator({ token: 'phone-token', channelId: account })
  const environment = {
    MODEL_SIMULATOR_URL: model.baseUrl,
    NOTIFIER_WHAPI_GATEWAYS: phone.url,
    INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
    ACCOUNTS_DEV_MAIL: 'true',
    TRUST_PROXY: '127.0.0.1/32',
  }
  const world = await startWorld({ services: allServices, ...servers, environment })
  const close = async () => {
    await world.stop()
    await phone.close()
    await model.close()
  }
  try {
    const { organizationId } = world
    await must(world, 'POST', '/v1/operator/organizations', { organizationId, name: 'Shop', ownerEmail: 'owner@example.com' })
    await must(world, 'PUT', `/v1/channels/${account}`, { token: 'phone-token', baseUrl: phone.url })
    const open = (provider: Provider, more: object) =>
      must(world, 'POST', '/v1/webhook-sources', { provider, name: provider, ...more }) as Promise<Door>
    const doors = {
      whapi: await open('whapi', { accountId: account }),
      shopify: await open('shopify', { accountId: shop, signingSecret }),
      elevenlabs: await open('elevenlabs', { signingSecret }),
      tavus: await open('tavus', {}),
    }
    return { world, doors, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function must(world: World, method: string, path: string, body: unknown): Promise<unknown> {
  const answer = await world.call(method, path, { body })
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body
}

/**
 * Posts so many deliveries with one hostile value each, a good message of another chat with them and beside them, and makes so many
 * calls with one hostile input each. What must hold: nothing answers 5xx, every good message arrives, every outbox drains.
 */
export async function fuzz(
  ground: Ground,
  random: Random,
  counts: { deliveries: number; calls: number; longest: boolean },
): Promise<Findings> {
  const { world } = ground
  const findings: Findings = { broken: [], deliveries: counts.deliveries, calls: 0, statuses: {} }
  const samples = readSamples()
  /** Good messages by id, with what travelled beside them. */
  const good = new Map<string, string>()
  const plans = Array.from({ length: counts.deliveries }, (_, index) => planDelivery(random, samples, index))
  await inTurns(plans, 4, async (plan) => {
    const own = write(plan.body)
    const answers = await Promise.all([post(ground, plan.sample, own), post(ground, plan.beside, write(plan.beside.body))])
    note(findings, answers[0], plan.about)
    note(findings, answers[1], `a greeting beside ${plan.about}`)
    // A number that nothing holds is refused with its body, by a 400 that says so: the sender is told, and nothing is half taken.
    const isRefused = answers[0].status === 400 && answers[0].text.includes('number_out_of_range')
    for (const id of isRefused ? plan.good.filter((one) => one.endsWith('-by')) : plan.good)
      good.set(id, `${plan.about} (answered ${answers[0].status} ${answers[0].text.slice(0, 160)})`)
  })
  await calm(world, findings, 'deliveries')
  const here = await world.sql<{ id: string }>(
    'select provider_message_id as id from inbox.messages where provider_message_id like $1',
    [`good-%`],
  )
  const arrived = new Set(here.map(({ id }) => id))
  for (const [id, about] of good) if (!arrived.has(id)) findings.broken.push(`a good message did not arrive: ${about}`)

  const routes = readRoutes()
  const known = await knownIds(world)
  // Each route once before any is called twice.
  const order = random.shuffled(routes)
  const calls = [
    ...(counts.longest ? order.flatMap((route) => longestCalls(route, known)) : []),
    ...Array.from({ length: counts.calls }, (_, index) =>
      anyCall(order[index % order.length] as (typeof order)[number], known, random),
    ),
  ]
  findings.calls = calls.length
  await inTurns(calls, 4, async ({ method, url, headers, body, about }) => {
    const authorization = `Bearer ${world.key}`
    const response = await fetch(world.running.url + url, {
      method,
      headers: { ...headers, authorization, 'x-forwarded-for': `198.51.100.${random.int(1, 250)}` },
      ...(body === undefined ? {} : { body }),
    })
    note(findings, { status: response.status, text: await response.text() }, `${method} ${url.slice(0, 120)}: ${about}`)
  })
  await calm(world, findings, 'calls')
  return findings
}

interface Plan {
  sample: Sample
  body: unknown
  about: string
  beside: Sample
  /** Ids of the messages that must arrive, whatever becomes of the rest. */
  good: string[]
}

function planDelivery(random: Random, samples: readonly Sample[], index: number): Plan {
  // Half of them are where one item can take others with it.
  const crowded = random.chance(0.5)
  const sample = random.pick(crowded ? samples.filter(holdsMessages) : samples)
  const fresh = renewed(sample.body, random)
  const places = placesOf(fresh)
  const place = random.pick(crowded ? places.filter(([first, second]) => first === 'messages' && second !== undefined) : places)
  const name = crowded && random.chance(0.5) ? anyHeavy(random) : anyMutation(random)
  const id = `good-${random.int(1, 2 ** 31)}-${index}`
  const chat = `3364${String(index % 1_000_000).padStart(7, '0')}`
  const body = changed(fresh, place, name) as { messages?: unknown[] }
  const among = isAmongMessages(sample, place, body)
  if (among) body.messages?.push(...greeting(`${id}-in`, `${chat}1`).messages)
  return {
    sample,
    body,
    about: `${sample.name} with ${place.join('.')} ${name === 'missing' ? 'missing' : `as ${name}`}`,
    beside: { name: 'greeting', provider: 'whapi', topic: '', body: greeting(`${id}-by`, `${chat}2`) },
    good: [`${id}-by`, ...(among ? [`${id}-in`] : [])],
  }
}

/** A list of messages with something wrong in one of them: the envelope says nothing false, so the others must live. */
function isAmongMessages(sample: Sample, place: Place, body: { messages?: unknown }): boolean {
  return holdsMessages(sample) && place[0] === 'messages' && place.length > 1 && Array.isArray(body.messages)
}

function holdsMessages({ provider, body }: Sample): boolean {
  const { event, messages } = body as { event?: { type?: string; event?: string }; messages?: unknown[] }
  const posted = event?.type === 'messages' && event.event === 'post'
  return provider === 'whapi' && posted && Array.isArray(messages) && messages.length > 0
}

async function post({ world, doors }: Ground, sample: Sample, body: string): Promise<{ status: number; text: string }> {
  const { path, header } = doors[sample.provider]
  const response = await fetch(world.running.url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(header ? { [header.name]: header.value } : {}),
      ...proofOf(sample, body, new Date()),
    },
    body,
  })
  return { status: response.status, text: await response.text() }
}

function note(findings: Findings, { status, text }: { status: number; text: string }, about: string): void {
  findings.statuses[status] = (findings.statuses[status] ?? 0) + 1
  if (status >= 500) findings.broken.push(`${status} for ${about}: ${text.slice(0, 200)}`)
}

/** Everything that was set in motion has come to rest, and nothing of it was left lying. */
async function calm(world: World, findings: Findings, after: string): Promise<void> {
  try {
    await world.settle(60_000)
  } catch (error) {
    findings.broken.push(`after the ${after}: ${error instanceof Error ? error.message : String(error)}`)
  }
  for (const { name } of allServices) {
    const dead = await world.sql<Record<'handler' | 'type' | 'key' | 'error', string>>(
      `select handler, type, left(key, 80) as key, left(error, 200) as error from ${name}.dead_letters where state = 'dead'`,
    )
    for (const { handler, type, key, error } of dead) {
      findings.broken.push(`${name} left a dead letter of ${handler} (${type}, ${JSON.stringify(key)}): ${error}`)
    }
    const [waiting] = await world.sql<{ count: string }>(`select count(*) from ${name}.dead_letters where state = 'waiting'`)
    if (Number(waiting?.count) > 0) findings.broken.push(`${name} has ${waiting?.count} events that wait behind one`)
  }
  const dead = await world.sql<{ topic: string; error: string }>(`select topic, error from ingest.receipts where state = 'dead'`)
  for (const { topic, error } of dead) findings.broken.push(`a dead receipt of ${topic}: ${String(error).slice(0, 200)}`)
}

/** Ids that there are, so that a call gets past "not found" to where it would break. */
async function knownIds(world: World): Promise<(parameter: string, path: string) => string | undefined> {
  const first = async (path: string) => {
    const { body } = await world.call('GET', `${path}?limit=1`)
    return body?.items?.[0]?.id as string | undefined
  }
  const ids = new Map<string, string | undefined>()
  for (const name of ['conversations', 'customers', 'receipts', 'turns', 'outgoing-messages', 'agents']) {
    ids.set(name, await first(`/v1/${name}`))
  }
  const [message] = await world.sql<{ id: string }>('select id from inbox.messages limit 1')
  ids.set('messages', message?.id)
  return (parameter, path) => {
    // What is closed here is not what the rest of the run stands on.
    if (parameter === 'organizationId') return world.otherOrganizationId
    if (parameter === 'accountId') return 'ANOTHER-PHONE'
    if (parameter === 'service') return 'inbox'
    return parameter === 'id' ? ids.get(path.split('/')[2] ?? '') : undefined
  }
}

/** All of them, so many at a time. */
async function inTurns<T>(items: readonly T[], width: number, run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await run(item)
    }),
  )
}
