import type { CrashPlace } from '@parley/runtime'
import { connect } from '@nats-io/transport-node'
import { subjectOf } from '@parley/contracts'
import { setTimeout as wait } from 'node:timers/promises'
import type { Scenario, Stage } from '../scenario.ts'
import { type ServiceName, serviceNames } from '../world.ts'
import { until } from './until.ts'

type Plan = Partial<Record<ServiceName, readonly CrashPlace[]>>

const relay: readonly CrashPlace[] = ['relay.after_publish', 'relay.before_mark']
const consumer: readonly CrashPlace[] = [
  'consumer.after_fetch',
  'consumer.after_inbox',
  'consumer.before_commit',
  'consumer.after_commit',
]
const jobs: readonly CrashPlace[] = ['job.after_lease', 'job.before_settle']
const effects: readonly CrashPlace[] = ['effect.after_intent', 'effect.after_call', 'effect.before_record', 'effect.after_record']

/** Where each service can die in the main job. Relays come first: they are reached only by the replica that leads. */
const everywhere: Plan = {
  ingest: [...relay, 'ingest.before_commit', 'ingest.after_commit'],
  inbox: [...relay, ...consumer],
  agents: [...relay, ...consumer, ...jobs],
  notifier: [...relay, ...consumer, ...jobs, ...effects],
}

/** Kills what runs; each process that takes its place dies at the next place of the plan, under load, until the plan is done. */
async function dieAt(stage: Stage, plan: Plan, most: number, deadlineMs: number): Promise<number> {
  const { world, sender, random } = stage
  let places = 0
  for (const [service, wanted] of Object.entries(plan) as [ServiceName, readonly CrashPlace[]][]) {
    world.crashAt(
      service,
      wanted.map((place) => `${place}:${random.int(1, most)}` as const),
    )
    places += wanted.length
  }
  const load = sender.load({ customersAtOnce: stage.quick ? 8 : 12, pauseMs: 600 })
  try {
    for (const service of Object.keys(plan) as ServiceName[]) {
      // One that died in the round before may still be starting: nobody would kill it, and no place of the plan would be taken.
      await until(`a running ${service}`, () => world.supervisor.live(service).length > 0, 30_000)
      for (const replica of world.supervisor.live(service)) process.kill(replica.pid, 'SIGKILL')
    }
    await until('every crash point', () => world.crashesLeft().length === 0, deadlineMs).catch((error: Error) => {
      throw new Error(`${error.message}; left: ${world.crashesLeft().join(', ')}`)
    })
  } finally {
    await load.stop()
  }
  return places
}

export const ingestDiesAfterCommit: Scenario = {
  fault: 'F1',
  title: 'ingest dies between COMMIT and the 200',
  async run(stage) {
    const rounds = stage.quick ? 2 : 10
    await dieAt(stage, { ingest: Array<CrashPlace>(rounds).fill('ingest.after_commit') }, 5, 120_000)
    return { rounds, note: '' }
  },
}

export const ingestDiesBeforeCommit: Scenario = {
  fault: 'F2',
  title: 'ingest dies before COMMIT',
  async run(stage) {
    const rounds = stage.quick ? 2 : 10
    await dieAt(stage, { ingest: Array<CrashPlace>(rounds).fill('ingest.before_commit') }, 5, 120_000)
    return { rounds, note: '' }
  },
}

export const everyServiceDiesEverywhere: Scenario = {
  fault: 'F3',
  title: 'each service dies at each of its crash points',
  settleMs: 120_000,
  async run(stage) {
    const rounds = stage.quick ? 1 : 5
    let places = 0
    for (let round = 0; round < rounds; round++) places += await dieAt(stage, everywhere, stage.quick ? 2 : 12, 180_000)
    return { rounds, note: `${places} deaths at ${places / rounds} points` }
  },
}

export const anythingDiesAnytime: Scenario = {
  fault: 'F4',
  title: 'kill -9 of any service every 1 to 5 s',
  settleMs: 60_000,
  async run({ world, sender, random, minutes }) {
    const load = sender.load({ customersAtOnce: 12, pauseMs: 800 })
    const until = performance.now() + minutes * 60_000
    let killed = 0
    try {
      while (performance.now() < until) {
        await wait(random.int(1_000, 5_000))
        if (world.killOne(random.pick(serviceNames), random.pick) !== undefined) killed++
      }
    } finally {
      await load.stop()
    }
    return { rounds: killed, note: `${minutes} min` }
  },
}

export const relayDiesBeforeMarking: Scenario = {
  fault: 'F5',
  title: 'a relay dies between publishing and marking; later the broker has forgotten the ids',
  async run(stage) {
    const rounds = stage.quick ? 1 : 5
    for (let round = 0; round < rounds; round++) {
      const places: readonly CrashPlace[] = ['relay.after_publish']
      await dieAt(stage, { ingest: places, notifier: places }, 6, 60_000)
    }
    return { rounds, note: `${await publishAgain(stage)} events published again without ids` }
  },
}

/** What a relay would do after a pause longer than the broker's memory for ids: only `handled` stands against it. */
async function publishAgain({ world }: Stage): Promise<number> {
  const rows = await world.sql<{ type: string; key: string; envelope: string }>(
    `select type, key, envelope::text as envelope from ingest.outbox union all select type, key, envelope::text from notifier.outbox`,
  )
  const nc = await connect(world.broker.login)
  try {
    for (const { type, key, envelope } of rows) {
      await nc.request(subjectOf('evt', type, world.organizationId, key), envelope, { timeout: 5_000 })
    }
  } finally {
    await nc.close()
  }
  return rows.length
}
