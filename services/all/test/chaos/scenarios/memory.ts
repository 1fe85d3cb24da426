import { setTimeout as wait } from 'node:timers/promises'
import { limitMemory, type MemoryGroup, type MemoryGroups, peakBytes, whyNoLimits } from '../memory.ts'
import { metersAgree } from '../meters.ts'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { serviceNames, type World } from '../world.ts'
import { expectThat, until } from './until.ts'

const mebibyte = 1024 ** 2
/** Half of what `k8s/` gives a container. */
const limitBytes = 256 * mebibyte
/** WhatsApp's longest text. */
const longestText = 4_096

export const memoryIsShort: Scenario = {
  fault: 'F38',
  title: 'each process has 256 MiB, and a burst comes while Postgres and the broker are slow; then the kernel kills each service',
  impossible: whyNoLimits,
  settleMs: 300_000,
  async run(stage) {
    const { world, sender, quick } = stage
    const memory = limitMemory(world, limitBytes)
    try {
      for (const service of serviceNames) await world.supervisor.rollingRestart(service)
      const deaths = world.deaths.length
      await burst(stage, quick ? 400 : 8_000)
      const left = await quiesce(world, 300_000)
      expectThat(left.length === 0, `still under way after the burst: ${left.join('; ')}`)
      const died = world.deaths.slice(deaths)
      expectThat(died.length === 0, `a process died of the burst: ${JSON.stringify(died)}`)
      const peaks = peaksOf(world)
      const load = sender.load({ customersAtOnce: 4, pauseMs: 600 })
      try {
        for (let round = 0; round < (quick ? 1 : 5); round++)
          for (const service of serviceNames) await starve(world, memory, service)
      } finally {
        await load.stop()
      }
      const calm = await quiesce(world, 120_000)
      expectThat(calm.length === 0, `still under way: ${calm.join('; ')}`)
      return { rounds: quick ? 1 : 5, note: `at most ${peaks}; ${await metersAgree(stage)} messages metered` }
    } finally {
      memory.close()
    }
  },
}

/** So many customers write a long text within moments, and their gateway gives up on nobody. Postgres stands still for a while in between. */
async function burst(stage: Stage, messages: number): Promise<void> {
  const { world, sender, quick } = stage
  for (const { broker, database } of Object.values(world.networks)) {
    broker.set({ kind: 'delay', ms: 20, jitterMs: 40 })
    database.set({ kind: 'delay', ms: 5, jitterMs: 10 })
  }
  const long = () => sender.newCustomer().message({ length: longestText })
  const post = ({ payload, fact }: ReturnType<typeof long>) => sender.post(payload, fact)
  // What the door must know of the sender it knows before nobody can be asked.
  await post(long())
  const frozen = world.database.freeze(quick ? 4_000 : 12_000)
  try {
    // First: behind thousands of texts in our own client they would come when Postgres answers again.
    const large = largeBodies(stage)
    await wait(500)
    await Promise.all([large, ...Array.from({ length: messages }, long).map(post)])
  } finally {
    await frozen
    world.heal()
  }
}

/** More at once than the process may have, while nothing can be stored: a few are let in, the others may come back. */
async function largeBodies({ world, sender }: Stage): Promise<void> {
  const padding = Array.from({ length: 8 }, () => 'x'.repeat(240_000))
  const payload = { messages: [], event: { type: 'messages', event: 'post' }, channel_id: world.channelId, padding }
  const answers = await Promise.all(Array.from({ length: 120 }, () => sender.postOnce(payload)))
  const statuses = Map.groupBy(answers, ({ status }) => status)
  // One that is refused before it was read may find its line cut instead of its answer.
  const other = [...statuses.keys()].filter((status) => typeof status === 'number' && status !== 200 && status !== 503)
  expectThat(other.length === 0, `a large body was answered ${other.join(', ')}`)
  expectThat(statuses.has(503), 'all large bodies were taken at once: this tried nothing')
  await until('a large body is taken', async () => (await sender.postOnce(payload)).status === 200, 60_000, 500)
}

function peaksOf(world: World): string {
  const peaks = Map.groupBy(world.supervisor.replicas(), ({ service }) => service)
  return [...peaks]
    .map(([service, replicas]) => {
      const bytes = Math.max(...replicas.map(({ pid }) => peakBytes(pid) ?? 0))
      return `${service} ${Math.round(bytes / mebibyte)} MiB`
    })
    .join(', ')
}

/** Takes what memory is left from one process of the service, until the kernel kills it for wanting more. */
async function starve(world: World, memory: MemoryGroups, service: string): Promise<void> {
  const victim = memory.groups.findLast((group) => group.service === service && group.pids().length > 0)
  expectThat(victim !== undefined, `${service} has no process`)
  const [pid] = victim.pids()
  try {
    await until(`the kernel kills a process of ${service}`, () => wasKilled(victim), 30_000, 100)
  } finally {
    victim.limit(limitBytes)
  }
  expectThat(world.deaths.at(-1)?.how === 'SIGKILL', `process ${pid} of ${service} ended by ${world.deaths.at(-1)?.how}`)
  await until(`${service} is back`, () => world.supervisor.live(service).length > 0, 30_000)
}

function wasKilled(victim: MemoryGroup): boolean {
  if (victim.pids().length === 0) return true
  try {
    victim.limit(victim.usedBytes())
  } catch {
    // In use to the last page: the kernel frees what it can, and refuses. The next page that is wanted ends the process.
  }
  return false
}
