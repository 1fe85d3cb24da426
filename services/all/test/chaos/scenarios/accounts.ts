import { createKeySecret, createOrganizationKeyId } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { demoOwnerEmail } from '../../../src/provision.ts'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import type { World } from '../world.ts'
import { expectThat, until } from './until.ts'

/** A read of each service that must know who calls, and may not need accounts for it. */
const elsewhere = ['/v1/conversations', '/v1/agents', '/v1/receipts', '/v1/channels'] as const
const permissions = ['conversations:read', 'agents:read', 'receipts:read', 'channels:read'] as const
/** From a message's being taken to its answer on the phone, with or without accounts. */
const longestAnswerMs = 10_000
/** Nothing asks for longer than this before it says that accounts is away: the ask's own time-out is two seconds. */
const longestRefusalMs = 5_000

interface Credentials {
  token: string
  /** When it runs out, by this process' clock in milliseconds. */
  tokenUntil: number
  key: string
}

export const accountsAway: Scenario = {
  fault: 'ACCOUNTS-AWAY',
  title: 'accounts is away: all its processes are killed and kept down',
  settleMs: 240_000,
  async run(stage) {
    const { world, sender, quick } = stage
    const awayMs = quick ? 8_000 : 600_000
    const load = sender.load({ customersAtOnce: quick ? 4 : 6, pauseMs: 1_500 })
    let looks = 0
    let slowestMs = 0
    try {
      const known = await signInAndMakeKey(world)
      // Each of them is heard of once by each replica of each service; a key made up now is nobody's.
      await until('every service knows the member and the key', () => knows(world, known), 20_000)
      expectThat((await statusOf(world, strangersKey(world))) === 401, 'a key of nobody is not refused with 401')
      expectThat((await wrongSignIn(world)) === 401, 'a wrong password is not refused with 401')
      const countedBefore = await countedMessages(world)

      const release = world.keepDown('accounts')
      try {
        await until('no process of accounts takes calls', () => world.supervisor.live('accounts').length === 0, 5_000)
        const wakeAt = performance.now() + awayMs
        while (performance.now() < wakeAt) {
          slowestMs = Math.max(slowestMs, await looksFine(stage, known))
          looks++
          await wait(quick ? 500 : 2_000)
        }
        expectThat(world.supervisor.live('accounts').length === 0, 'accounts came back although it was kept down')
      } finally {
        release()
      }
      await until('accounts is back', async () => (await wrongSignIn(world)) === 401, 60_000, 250)
      await until(
        'a key of nobody is refused with 401 again',
        async () => (await statusOf(world, strangersKey(world))) === 401,
        20_000,
        250,
      )
      expectThat((await countedMessages(world)) >= countedBefore, 'accounts forgot what it had counted')
    } finally {
      await load.stop()
    }
    const left = await quiesce(world, 240_000)
    expectThat(left.length === 0, `still under way: ${left.join('; ')}`)
    const counted = await metersAgree(stage)
    return {
      rounds: 1,
      note: `${awayMs / 1000} s away, ${looks} looks, answers after ${slowestMs} ms at most; ${counted} messages metered`,
    }
  },
}

/** As the owner of the demo organization does it: a link by mail, and with it a key for the other services. */
async function signInAndMakeKey(world: World): Promise<Credentials> {
  const { api } = world
  await api.post('/v1/auth/magic-link', { email: demoOwnerEmail }, z.object({}))
  const Mails = z.object({ items: z.array(z.object({ kind: z.string(), text: z.string().nullable() })) })
  let token: string | undefined
  await until(
    'the mail with the link',
    async () => {
      const { items } = await api.get(`/v1/dev/mail?to=${encodeURIComponent(demoOwnerEmail)}`, Mails)
      token = items.find(({ kind }) => kind === 'magic_link')?.text?.match(/token=([\w-]+)/)?.[1]
      return token !== undefined
    },
    20_000,
    250,
  )
  const SignedIn = z.object({ accessToken: z.string(), expiresIn: z.number(), organizationId: z.string() })
  const signedIn = await api.post('/v1/auth/magic-link/redeem', { token }, SignedIn)
  expectThat(signedIn.organizationId === world.organizationId, 'the owner is signed in to another organization')
  const made = await fetch(`${world.url}/v1/api-keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${signedIn.accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Chaos', scopes: permissions, perMinute: 100_000, perDay: null }),
    signal: AbortSignal.timeout(15_000),
  })
  expectThat(made.status === 201, `no key was made: ${made.status}`)
  const { key } = z.object({ key: z.string() }).parse(await made.json())
  return { token: signedIn.accessToken, tokenUntil: performance.now() + signedIn.expiresIn * 1000, key }
}

async function statusOf(world: World, credential: string, path: string = elsewhere[0]): Promise<number> {
  const response = await fetch(world.url + path, {
    headers: { authorization: `Bearer ${credential}` },
    signal: AbortSignal.timeout(longestRefusalMs),
  })
  await response.arrayBuffer()
  return response.status
}

/** Two replicas stand behind a path: asked often enough in turn, each of them has answered. */
async function knows(world: World, { token, key }: Credentials): Promise<boolean> {
  const statuses = await Promise.all(
    elsewhere.flatMap((path) => [token, key, token, key].map((credential) => statusOf(world, credential, path))),
  )
  return statuses.every((status) => status === 200)
}

/** One key of this organization that was never made, another one each time: nothing remembers it. */
const strangersKey = (world: World) => createKeySecret(createOrganizationKeyId(world.organizationId)).key

async function wrongSignIn(world: World): Promise<number> {
  const response = await fetch(`${world.url}/v1/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${randomUUIDv7()}@example.com`, password: 'not the right one at all' }),
    signal: AbortSignal.timeout(15_000),
  })
  await response.arrayBuffer()
  return response.status
}

/** What must hold at any moment while accounts is away; gives how long an answer to a customer took. */
async function looksFine({ world, sender }: Stage, { token, tokenUntil, key }: Credentials): Promise<number> {
  const began = performance.now()
  const { ref, answers } = await sender.newCustomer().writes()
  expectThat(answers.length === 1, `a webhook was taken only after ${answers.join(', ')}`)
  await world.phone.waitForSent(({ text }) => text?.includes(ref as string) === true, longestAnswerMs)
  const tookMs = Math.round(performance.now() - began)
  for (const path of elsewhere) {
    // An access token is good for ten minutes, and only accounts gives the next one.
    if (performance.now() < tokenUntil - 5_000) {
      const status = await statusOf(world, token, path)
      expectThat(status === 200, `a member's token was answered ${status} at ${path}`)
    }
    const status = await statusOf(world, key, path)
    expectThat(status === 200, `a known key was answered ${status} at ${path}`)
  }
  const stranger = await statusOf(world, strangersKey(world))
  expectThat(stranger === 503, `an unknown key was answered ${stranger}`)
  const refused = await wrongSignIn(world)
  expectThat(refused === 503, `a sign-in was answered ${refused}`)
  return tookMs
}

async function countedMessages(world: World): Promise<number> {
  const [row] = await world.sql<{ messages: number }>(
    `select coalesce(sum(messages), 0)::int as messages from accounts.usage_slots where organization_id = $1`,
    [world.organizationId],
  )
  return row?.messages ?? 0
}

/**
 * What accounts counted is what the books kept outside say: the sender's (messages in, people), the phone's (messages out) and, for
 * the model, what the agents stated of their turns. Gives the number of messages.
 */
async function metersAgree({ world, ledger }: Stage): Promise<number> {
  const accepted = ledger.sends.filter(({ outcome }) => outcome === 'ok')
  const messages = new Set(accepted.map(({ id }) => id)).size + world.phone.sent.length
  const people = new Set(accepted.map(({ chat }) => chat)).size
  const [turns] = await world.sql<{ requests: number; micros: number }>(
    `select count(*)::int as requests, coalesce(sum((envelope->'data'->>'costMicros')::bigint), 0)::int as micros
     from agents.outbox where type = 'turn.taken' and organization_id = $1 and envelope->'data'->>'model' is not null`,
    [world.organizationId],
  )
  const [counted] = await world.sql(
    `select sum(messages)::int as messages, sum(conversations)::int as conversations, sum(ai_requests)::int as requests,
       sum(ai_spend_micros)::int as micros,
       (select count(distinct customer_id)::int from accounts.usage_customers where organization_id = $1) as customers,
       (select count(*)::int from accounts.usage_logs where organization_id = $1 and usage_type = 'message') as logged
     from accounts.usage_slots where organization_id = $1`,
    [world.organizationId],
  )
  const wanted = {
    messages,
    conversations: people,
    requests: turns?.requests,
    micros: turns?.micros,
    customers: people,
    logged: messages,
  }
  for (const [what, value] of Object.entries(wanted))
    expectThat(counted?.[what] === value, `accounts counted ${String(counted?.[what])} ${what}, and the books say ${value}`)
  return messages
}
