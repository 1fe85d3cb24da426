import { setTimeout as wait } from 'node:timers/promises'
import { openLoad } from '../lib/load.ts'
import { type Figure, isOnPath } from '../lib/results.ts'
import { freshRoot, type Stage } from '../lib/stage.ts'
import { median, medianRatio, rounded } from '../lib/statistics.ts'
import { peerService } from './service.ts'
import { body, type PeerSettings } from './task.ts'

interface Measured {
  completedPerSecond: number
  cpuMsPerTask: number
}

const deadlineMs = 180_000
const loadConnections = 64
/** Jobs at once, and connections to Postgres, of both sides. */
const concurrency = 16
const connections = 16
/** A queue that polls every two seconds lets its last few jobs wait for that; in a burst that never ends nobody would see it. */
const countedShare = 0.95

/**
 * Webhook, durable, once-only effect in Postgres, HTTP out: what a user would pick instead (Fastify with graphile-worker on the same
 * Postgres) beside the same task on our runtime. A burst of webhooks comes in as fast as it is accepted; what counts is when
 * 95 % of their messages have reached the outside system.
 */
export async function peer(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const tasks = stage.quick ? 2_000 : 8_000
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let round = 1; round <= stage.rounds; round++) {
    ours.push(await measure(stage, 'parley.ts', tasks))
    theirs.push(await measure(stage, 'graphile.ts', tasks))
    stage.log(`peer ${round}/${stage.rounds}: parley ${speak(ours.at(-1))}, graphile-worker ${speak(theirs.at(-1))}`)
  }
  const rates = (list: Measured[]) => list.map((entry) => entry.completedPerSecond)
  return {
    name: 'peer',
    ratio: rounded(medianRatio(rates(ours), rates(theirs))),
    peer: 'fastify + graphile-worker 0.18.0',
    completedPerSecond: rounded(median(rates(ours))),
    peerCompletedPerSecond: rounded(median(rates(theirs))),
    cpuMsPerTask: rounded(median(ours.map((entry) => entry.cpuMsPerTask))),
    peerCpuMsPerTask: rounded(median(theirs.map((entry) => entry.cpuMsPerTask))),
    tasks,
    concurrency,
    connections,
    rounds: stage.rounds,
    notMeasured: isOnPath('redis-server')
      ? 'BullMQ: redis-server is here, but BullMQ is no dependency of this project'
      : 'BullMQ: there is no redis-server on the PATH, and BullMQ is no dependency of this project',
  }
}

const speak = (measured: Measured | undefined) =>
  measured ? `${rounded(measured.completedPerSecond)}/s at ${rounded(measured.cpuMsPerTask)} ms CPU` : 'nothing'

async function measure(stage: Stage, file: string, tasks: number): Promise<Measured> {
  const isOurs = file === 'parley.ts'
  const sink = await stage.worker(new URL('sink.ts', import.meta.url), {})
  const sinkUrl = sink.ready as string
  const database = await stage.database(isOurs ? [peerService({ sinkUrl, concurrency, organizationId: '' })] : [])
  const settings: PeerSettings = {
    adminUrl: database.adminUrl,
    natsUrl: stage.natsUrl,
    root: freshRoot(),
    sinkUrl,
    concurrency,
    connections,
  }
  const worker = await stage.worker(new URL(file, import.meta.url), settings, isOurs ? 'peer' : 'peer-graphile')
  const load = await openLoad(stage, { url: worker.ready as string, path: '/hooks', headers: {}, body })
  try {
    const before = (await worker.usage()).cpuMs
    const { startedAt } = await load.run({ connections: loadConnections, requests: tasks })
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      const distinct = (await sink.call('count')) as number
      if (distinct === tasks) {
        const cpuMs = (await worker.usage()).cpuMs - before
        const { newAt, repeated } = (await sink.call('arrivals')) as { newAt: number[]; repeated: number }
        if (repeated > 0) throw new Error(`peer (${file}): ${repeated} messages went out twice.`)
        const most = Math.floor(tasks * countedShare)
        return { completedPerSecond: (most / ((newAt[most - 1] ?? Number.NaN) - startedAt)) * 1000, cpuMsPerTask: cpuMs / tasks }
      }
      if (performance.now() > giveUpAt)
        throw new Error(`peer (${file}): ${distinct} of ${tasks} messages after ${deadlineMs} ms.`)
      await wait(20)
    }
  } finally {
    await load.stop()
    await worker.stop()
    await sink.stop()
    await database.drop()
  }
}
