import { findFaketime } from '@parley/embedded'
import { jobSchemaOf } from '@parley/runtime'
import { createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { knows, signInAndMakeKey } from '../callers.ts'
import { wearClocks } from '../clocks.ts'
import { metersAgree } from '../meters.ts'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { lanesAreShared, readMetric, runsTriedAgain, watchDuplicates, watchTakeovers } from '../watch.ts'
import { serviceNames, type World } from '../world.ts'
import { knowsAndAnswers } from './accounts.ts'
import { expectThat, until } from './until.ts'

/** The first process of a service is ten minutes ahead, the next as much behind, and so on. */
const apart = (number: number) => (number % 2 === 0 ? 600 : -600)
const anHourBack = (number: number) => apart(number) - 3_600
const right = () => 0

/** How far a job's due time may be from when it was asked for: a turn waits for a burst's end, one second here, and for a core. */
const longestDelaySeconds = 15
/** ElevenLabs' own: a signature is good for half an hour before and after. */
const toleranceSeconds = 1_800

/**
 * The broker's clock stays right: nats-server is a static program, which no library gets in front of. What its clock decides is
 * counted in hours and backed by `handled` (decision 0015).
 */
export const clocksDisagree: Scenario = {
  fault: 'F28',
  title: 'replicas are ten minutes ahead and behind, and then their clocks jump back an hour',
  settleMs: 120_000,
  impossible: () =>
    findFaketime().then(
      () => undefined,
      (error: Error) => error.message,
    ),
  async run(stage) {
    const { world, sender, quick } = stage
    const clocks = wearClocks(world, await findFaketime(), apart)
    const load = sender.load({ customersAtOnce: 4, pauseMs: 1_500 })
    const notes: string[] = []
    let takeovers: string[] = []
    try {
      for (const service of serviceNames) await world.supervisor.rollingRestart(service)
      // In `npm test` two of the services have two replicas; here, each.
      for (const service of serviceNames)
        if (!quick && world.supervisor.live(service).length < 2) await world.supervisor.add(service)
      await until('lanes are shared out', () => lanesAreShared(world), 20_000, 250)
      const signed = await openSignedSource(world)
      const [start] = await world.sql<{ now: Date }>('select now() as now')
      const duplicates = watchDuplicates(world)
      await duplicates.look()
      const triedAgain = await runsTriedAgain(world)
      const leases = watchTakeovers(world)
      try {
        for (const ahead of [apart, anHourBack]) {
          clocks.set(ahead)
          await until('every process shows by how much its clock is wrong', () => skewsAre(world, ahead), 15_000)
          notes.push(await worksAsEver(stage, signed))
        }
      } finally {
        takeovers = await leases.stop()
      }
      await duplicates.look()
      expectThat(takeovers.length === 0, `two replicas read a lane: ${takeovers.join('; ')}`)
      expectThat(duplicates.seen() === 0, `${duplicates.seen()} events were brought twice`)
      const again = (await runsTriedAgain(world)) - triedAgain
      expectThat(again === 0, `${again} job runs were begun twice`)
      await jobsWereInTime(world, start?.now as Date)
      await until('the log says of each process that its clock is wrong', () => warnings(world) >= processes(world), 15_000, 500)
      clocks.set(right)
      await until('every process shows a right clock again', () => skewsAre(world, right), 15_000)
    } finally {
      clocks.set(right)
      world.launchWith(undefined)
      await load.stop()
    }
    const left = await quiesce(world, 120_000)
    expectThat(left.length === 0, `still under way: ${left.join('; ')}`)
    return { rounds: 2, note: `${notes.join(', ')}; ${await metersAgree(stage)} messages metered` }
  },
}

/** Tokens of one replica open every other, signatures are judged by the true time, customers are answered. */
async function worksAsEver(stage: Stage, signed: SignedSource): Promise<string> {
  const { world, quick } = stage
  const known = await signInAndMakeKey(world)
  await until('every service knows the member and the key', () => knows(world, known), 20_000)
  const nowSeconds = Math.floor(Date.now() / 1000)
  for (const [ageSeconds, wanted] of [
    [0, 200],
    [toleranceSeconds + 60, 401],
    [-toleranceSeconds - 60, 401],
  ] as const) {
    const status = await signed.post(nowSeconds - ageSeconds)
    expectThat(status === wanted, `a webhook signed ${ageSeconds} s ago was answered ${status}`)
  }
  let slowestMs = 0
  const stopAt = performance.now() + (quick ? 4_000 : 60_000)
  while (performance.now() < stopAt) {
    slowestMs = Math.max(slowestMs, await knowsAndAnswers(stage, known))
    await wait(500)
  }
  return `answers after ${slowestMs} ms at most`
}

const processes = (world: World) => world.supervisor.replicas().filter(({ state }) => state === 'up').length

/** Every process is as far ahead as one of the clocks that were handed out, and in its service somebody is ahead who should be. */
async function skewsAre(world: World, aheadOf: (number: number) => number): Promise<boolean> {
  const wanted = [aheadOf(0), aheadOf(1)]
  const shown = await Promise.all(
    world.supervisor
      .replicas()
      .map(async ({ adminUrl, state }) => (state === 'up' ? readMetric(adminUrl, 'parley_clock_skew') : [])),
  )
  const skews = shown.flat()
  const isOneOf = (seconds: number) => wanted.some((ahead) => Math.abs(ahead - seconds) < 5)
  const isSeen = (ahead: number) => skews.some((seconds) => Math.abs(ahead - seconds) < 5)
  return skews.length === processes(world) && skews.every(isOneOf) && wanted.every(isSeen)
}

const warnings = ({ folder }: World) =>
  readFileSync(join(folder, 'parley.log'), 'utf8').split(`this machine's clock and the database's disagree`).length - 1

/** By the database's clock: none before it was due, none put off by somebody's wrong clock, none begun long after. */
async function jobsWereInTime(world: World, since: Date): Promise<void> {
  const runs = serviceNames
    .map(
      (service) => `select name, created_on, start_after, started_on from ${jobSchemaOf(service)}.job_common
        where created_on >= $1 and state = 'completed'`,
    )
    .join(' union all ')
  const [turns] = await world.sql<{ runs: number; early: number; putOff: number; late: number }>(
    `select count(*)::int as runs, count(*) filter (where started_on < start_after)::int as early,
       coalesce(max(extract(epoch from start_after - created_on)) filter (where name = 'take-turn'), 0)::float8 as "putOff",
       coalesce(max(extract(epoch from started_on - start_after)), 0)::float8 as late
     from (${runs}) runs`,
    [since],
  )
  expectThat(turns !== undefined && turns.runs > 0, 'no job ran')
  expectThat(turns.early === 0, `${turns.early} jobs began before they were due`)
  expectThat(turns.putOff < longestDelaySeconds, `a turn was due only ${turns.putOff} s after the message`)
  expectThat(turns.late < longestDelaySeconds, `a job began ${turns.late} s after it was due`)
}

interface SignedSource {
  /** Posts a delivery that was signed then, in seconds since 1970; gives the status. */
  post(signedAt: number): Promise<number>
}

/** A door for webhooks whose signature holds a time. */
async function openSignedSource(world: World): Promise<SignedSource> {
  const signingSecret = randomBytes(18).toString('base64url')
  const wanted = { provider: 'elevenlabs', accountId: null, name: 'Clocks', signingSecret }
  const { path } = await world.api.post('/v1/webhook-sources', wanted, z.object({ path: z.string() }))
  let deliveries = 0
  return {
    async post(signedAt) {
      const body = JSON.stringify({ type: 'nothing_we_know', event_timestamp: signedAt, data: { delivery: ++deliveries } })
      const mac = createHmac('sha256', signingSecret).update(`${signedAt}.${body}`).digest('hex')
      const response = await fetch(world.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'elevenlabs-signature': `t=${signedAt},v0=${mac}` },
        body,
        signal: AbortSignal.timeout(15_000),
      })
      await response.arrayBuffer()
      return response.status
    },
  }
}
