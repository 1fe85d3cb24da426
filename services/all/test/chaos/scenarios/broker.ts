import { JetStreamApiCodes, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { setTimeout as wait } from 'node:timers/promises'
import type { Scenario, Stage } from '../scenario.ts'
import { until } from './until.ts'

/** From the broker's being back to the answer on a customer's phone: every lane on the way is read again by then. */
const longestResumeMs = 5_000

/** Runs `work` with customers writing all the while. */
async function underLoad(stage: Stage, work: () => Promise<void>): Promise<void> {
  const load = stage.sender.load({ customersAtOnce: stage.quick ? 6 : 12, pauseMs: 600 })
  try {
    await wait(500)
    await work()
    await wait(500)
  } finally {
    await load.stop()
  }
}

export const brokerIsKilled: Scenario = {
  fault: 'F6',
  title: 'kill -9 of the broker, restarted on the same store',
  async run(stage) {
    const { world, sender, random } = stage
    const rounds = stage.quick ? 1 : 20
    let longestMs = 0
    await underLoad(stage, async () => {
      for (let round = 0; round < rounds; round++) {
        await world.broker.restart('kill', { downMs: stage.quick ? 1_000 : random.int(500, 5_000) })
        const back = performance.now()
        const { ref } = await sender.newCustomer().writes()
        await world.phone.waitForSent(({ text }) => text?.includes(ref as string) === true, longestResumeMs)
        longestMs = Math.max(longestMs, Math.round(performance.now() - back))
        await wait(random.int(500, 2_000))
      }
    })
    return { rounds, note: `answering again ${longestMs} ms after it was back, at most` }
  },
}

export const brokerLosesItsStore: Scenario = {
  fault: 'F9',
  title: 'the store of the broker is deleted, or comes back as it was a while ago',
  async run(stage) {
    const { broker } = stage.world
    const rounds = stage.quick ? 1 : 5
    await underLoad(stage, async () => {
      for (let round = 0; round < rounds; round++) {
        await broker.restart('kill', { store: 'empty', downMs: 1_000 })
        await wait(3_000)
        // What a power cut leaves of a store that was not flushed: events were acknowledged, read and acted on, and are gone.
        broker.rememberStore()
        await wait(3_000)
        await broker.restart('kill', { store: 'as remembered', downMs: 1_000 })
        await wait(3_000)
      }
    })
    return { rounds: rounds * 2, note: 'rebuilt from the outboxes' }
  },
}

export const brokerFreezes: Scenario = {
  fault: 'F10',
  title: 'the broker is stopped for 30 s and goes on',
  async run(stage) {
    await underLoad(stage, () => stage.world.broker.freeze(30_000))
    return { rounds: 1, note: '' }
  },
}

export const streamIsDeleted: Scenario = {
  fault: 'F33',
  title: 'the stream, or every consumer, is deleted under us',
  async run(stage) {
    const { world } = stage
    const rounds = stage.quick ? 1 : 5
    const nc = await connect(world.broker.login)
    try {
      const manager = await jetstreamManager(nc)
      await underLoad(stage, async () => {
        for (let round = 0; round < rounds; round++) {
          const consumers: string[] = []
          for await (const { name } of manager.consumers.list(world.stream)) consumers.push(name)
          for (const name of consumers) {
            // One that its reader has closed meanwhile is as gone as we want it.
            await manager.consumers.delete(world.stream, name).catch((error: unknown) => {
              if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.ConsumerNotFound) throw error
            })
          }
          await wait(2_000)
          await manager.streams.delete(world.stream)
          await wait(3_000)
        }
      })
      for (let round = 0; round < rounds; round++) {
        await loseUnread(stage, () => manager.streams.delete(world.stream))
      }
    } finally {
      await nc.close()
    }
    return { rounds, note: 'under load, and with events in it that nobody had read' }
  },
}

/** The stream goes while the relay that filled it is idle and one service has not read it yet: somebody must put the events back. */
async function loseUnread({ world, sender }: Stage, lose: () => Promise<unknown>): Promise<void> {
  const agents = world.supervisor.live('agents').map(({ pid }) => pid)
  for (const pid of agents) process.kill(pid, 'SIGSTOP')
  try {
    const sends = await Promise.all(Array.from({ length: 5 }, () => sender.newCustomer().writes()))
    const added = `select 1 from inbox.messages where provider_message_id = any($1) and wants_reply`
    await until('inbox had the messages', async () => (await world.sql(added, [sends.map(({ id }) => id)])).length === 5, 20_000)
    const unpublished = `select 1 from inbox.outbox o, inbox.relay_cursor c where (o.xid, o.seq) > (c.xid, c.seq)`
    await until('inbox published', async () => (await world.sql(unpublished)).length === 0, 20_000)
    await lose()
  } finally {
    for (const pid of agents) process.kill(pid, 'SIGCONT')
  }
}
