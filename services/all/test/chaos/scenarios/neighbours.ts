import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { createKey } from '@parley/runtime'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { openApi } from '../../../src/api.ts'
import type { State } from '../../../src/home.ts'
import { provisionDemo } from '../../../src/provision.ts'
import { elsewhere, statusOf } from '../callers.ts'
import { createSender, type Sender } from '../sender.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { serviceNames, type World } from '../world.ts'
import { expectThat, until } from './until.ts'

const honestOnes = 10
/** Who is heard beside the noise may be heard later by so much, whatever the quiet took: a machine has its own noise. */
const floorMs = 500
/** An answer that takes longer counts as this long; whether it ever comes is the checker's question. */
const longestAnswerMs = 120_000
/** What every service promises of a key's end. */
const revokedWithinMs = 5_000
/** In a text, it makes the model think long. */
const dawdle = 'dawdle'
const dawdleMs = 8_000
/** WhatsApp's longest text. */
const longestText = 4_096

/** An organization with a channel, a webhook source, a phone and an operator's key of its own. */
interface Tenant {
  organizationId: string
  key: string
  phone: WhapiSimulator
  webhook: World['webhook']
  sender: Sender
}

export const oneOrganizationIsHostile: Scenario = {
  fault: 'NEIGHBOURS',
  title: `one hostile organization beside ${honestOnes} honest ones`,
  settleMs: 900_000,
  async run(stage) {
    const { world, quick, minutes } = stage
    world.model.latencyMs = (call) => (call.data.some(({ text }) => text.includes(dawdle)) ? dawdleMs : 0)
    const [hostile, ...honest] = await openTenants(stage, honestOnes + 1)
    expectThat(hostile !== undefined, 'there is nobody hostile')
    await converse(stage, honest, 'warm-up', quick ? 3_000 : 15_000)

    const quiet = await converse(stage, honest, 'quiet', quick ? 15_000 : 60_000)
    const attack = begin(stage, hostile)
    let loud: number[] = []
    try {
      loud = await converse(stage, honest, 'loud', quick ? 20_000 : minutes * 60_000)
    } finally {
      await attack.stop()
    }
    const { lateMs, did } = attack

    const note =
      `p95 of an honest answer ${p95(quiet)} ms without it (${quiet.length}), ${p95(loud)} ms beside it (${loud.length}), ` +
      `at most ${Math.max(...loud)} ms; ${did()}; a revoked key opened for ${Math.round(lateMs())} ms at most`
    expectThat(p95(loud) <= Math.max(2 * p95(quiet), p95(quiet) + floorMs), `honest answers were held up: ${note}`)
    expectThat(lateMs() <= revokedWithinMs, `a revoked key still opened: ${note}`)
    return { rounds: 1, note }
  },
}

async function openTenants({ world, ledger, random }: Stage, count: number): Promise<Tenant[]> {
  const plans = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const channelId = `NEIGHBOUR-${index}`
      const token = randomBytes(18).toString('base64url')
      const phone = await startWhapiSimulator({ token, channelId, retry: { stepMs: 50, maxMs: 500 } })
      world.phones.push(phone)
      const organizationId = randomUUIDv7()
      return { index, channelId, phone, organizationId, ...createKey(organizationId, ['*']) }
    }),
  )
  const told = {
    PARLEY_API_KEYS: JSON.stringify([...world.operatorKeys, ...plans.map(({ stored }) => stored)]),
    NOTIFIER_WHAPI_GATEWAYS: world.phones.map(({ url }) => url).join(','),
  }
  world.launchWith(() => told)
  for (const service of serviceNames) await world.supervisor.rollingRestart(service)
  return Promise.all(
    plans.map(async ({ index, channelId, phone, organizationId, key }) => {
      const state = { sources: {} } as State
      const channel = { accountId: channelId, token: phone.token, gateway: phone.url }
      await provisionDemo(openApi(world.url, key), state, channel, `owner-${index}@demo.example`)
      const source = state.sources[channelId]
      if (!source) throw new Error('Provisioning gave no webhook source.')
      const webhook = { url: `${world.url}${source.path}`, headers: { [source.header.name]: source.header.value } }
      phone.setWebhook(webhook)
      const own = { webhook, channelId }
      // Numbers apart from the world's own sender and from each other's.
      const sender = createSender(own, ledger, random.fork(channelId), { from: 1_000_000 * (index + 1) })
      return { organizationId, key, phone, webhook, sender }
    }),
  )
}

/** One customer after the other writes to each tenant and waits for each answer; gives how long the answers took. */
async function converse({ random }: Stage, tenants: readonly Tenant[], phase: string, forMs: number): Promise<number[]> {
  const until = performance.now() + forMs
  const tookMs: number[] = []
  const lives = tenants.map(async ({ sender, phone, organizationId }, index) => {
    const own = random.fork(`${phase} ${index}`)
    while (performance.now() < until) {
      const customer = sender.newCustomer()
      for (let left = own.int(2, 6); left > 0 && performance.now() < until; left--) {
        const began = performance.now()
        const { ref } = await customer.writes()
        expectThat(ref !== null, `a text of ${organizationId} has no word of its own`)
        await phone.waitForSent(({ text }) => text?.includes(ref) === true, longestAnswerMs).catch(() => undefined)
        tookMs.push(Math.round(performance.now() - began))
        await wait(own.int(100, 800))
      }
    }
  })
  await Promise.all(lives)
  return tookMs
}

function p95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.POSITIVE_INFINITY
}

/** All at once, until `stop`: everything that somebody with an account of their own can do to the others. */
function begin({ world, quick, random }: Stage, hostile: Tenant) {
  const stopping = new AbortController()
  const counts = { flooded: 0, dawdling: 0, slowBodies: 0, queries: 0, revoked: 0, refused: 0 }
  let latestMs = 0
  const flooded = hostile.sender.newCustomer()
  const pause = (ms: number): Promise<void> => wait(ms, undefined, { signal: stopping.signal }).catch(() => undefined)
  const again = async (work: () => Promise<unknown>) => {
    while (!stopping.signal.aborted) await work()
  }
  const many = (times: number, work: () => Promise<unknown>) => Array.from({ length: times }, () => again(work))

  /** One conversation gets so many; what drains more slowly than it comes must end some time. */
  const floodMost = quick ? 500 : 6_000
  async function flood(): Promise<void> {
    if (counts.flooded >= floodMost) return pause(500)
    counts.flooded++
    await hostile.sender.postOnce(flooded.message({ length: longestText }).payload)
  }

  /** Another customer each time, so that none waits for the one before. */
  async function dawdles(): Promise<void> {
    counts.dawdling++
    await hostile.sender.postOnce(hostile.sender.newCustomer().message({ text: `Bonjour, ${dawdle}` }).payload)
    await pause(quick ? 1_000 : 4_000)
  }

  const paths = [
    ...elsewhere.flatMap((path) => [`${path}?limit=100`, `${path}?limit=100&page=90`]),
    ...serviceNames.flatMap((name) => [
      `/v1/ops/${name}/dead-letters?limit=100`,
      `/v1/ops/${name}/correlations/${randomUUIDv7()}`,
      `/v1/ops/${name}/trace?correlationId=${randomUUIDv7()}`,
    ]),
  ]
  const draws = random.fork('queries')
  async function query(): Promise<void> {
    counts.queries++
    const status = await statusOf(world, hostile.key, draws.pick(paths), 30_000).catch(() => 0)
    // Whoever is refused for asking too much asks again at once: that too must not be felt.
    if (status === 0) await pause(100)
  }

  /** A webhook whose body comes a byte at a time. */
  async function slowBody(): Promise<void> {
    counts.slowBodies++
    const { hostname, port, pathname } = new URL(hostile.webhook.url)
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const socket = connect(Number(port), hostname, () => {
      const headers = Object.entries({
        host: hostname,
        'content-type': 'application/json',
        'content-length': '200000',
        ...hostile.webhook.headers,
      })
      socket.write(`POST ${pathname} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    })
    const drip = setInterval(() => socket.write(' '), 250)
    socket.on('error', () => {}) // Cut off, as it deserves.
    socket.on('close', () => resolve())
    socket.resume()
    const cut = () => socket.destroy()
    stopping.signal.addEventListener('abort', cut)
    await ended
    stopping.signal.removeEventListener('abort', cut)
    clearInterval(drip)
    await pause(100)
  }

  /** Makes a key, uses it everywhere, revokes it and goes on trying: notes how long after its end it still opened something. */
  async function revoke(): Promise<void> {
    const api = openApi(world.url, hostile.key)
    const Made = z.object({ keyId: z.string(), key: z.string() })
    const scopes = ['conversations:read', 'agents:read', 'receipts:read', 'channels:read']
    // Its own crowd may have it refused: then it is no key, and no revocation.
    const made = await api.post('/v1/api-keys', { name: 'Chaos', scopes, perMinute: 100_000, perDay: null }, Made).catch(refused)
    if (made === undefined) return pause(1_000)
    const { keyId, key } = made
    const opens = async (path: string) => (await statusOf(world, key, path, 30_000).catch(() => 0)) === 200
    await until('a new key opens everything', async () => (await Promise.all(elsewhere.map(opens))).every(Boolean), 30_000)
    const end = () => api.post(`/v1/api-keys/${keyId}/revoke`, {}, z.object({})).then(() => true, refused)
    await until('a key is revoked', async () => (await end()) === true, 30_000, 500)
    const endedAt = performance.now()
    while (performance.now() < endedAt + 2 * revokedWithinMs) {
      const beganMs = performance.now() - endedAt
      // By when it was asked: an answer that had to wait was decided before.
      if ((await Promise.all(elsewhere.map(opens))).some(Boolean)) latestMs = Math.max(latestMs, beganMs)
    }
    counts.revoked++
  }

  const refused = (): undefined => void counts.refused++
  const lives = [...many(8, flood), ...many(quick ? 20 : 40, dawdles), ...many(48, slowBody), ...many(24, query), again(revoke)]
  // Whoever stops it hears of a failure; until then it must not end the process.
  for (const life of lives) life.catch(() => undefined)
  return {
    lateMs: () => latestMs,
    did: () =>
      `${counts.flooded} messages into one conversation, ${counts.dawdling} for a slow model, ${counts.slowBodies} slow bodies, ` +
      `${counts.queries} queries, ${counts.revoked} keys revoked (${counts.refused} tries refused)`,
    async stop() {
      stopping.abort()
      await Promise.all(lives)
    },
  }
}
