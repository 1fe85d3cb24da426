import { setTimeout as wait } from 'node:timers/promises'
import type { Figure } from '../lib/results.ts'
import { freshRoot, type Stage } from '../lib/stage.ts'
import { median, medianRatio, rounded } from '../lib/statistics.ts'
import { hopService } from './service.ts'
import { fillStream } from './stream.ts'

interface Progress {
  handled: number
  firstAt: number
  /** The bare loop says itself when it has acknowledged everything. */
  lastAt?: number
}
interface Measured {
  eventsPerSecond: number
  cpuMsPerEvent: number
}
interface Shape {
  events: number
  organizations: number
  topics: number
}

const deadlineMs = 120_000

/**
 * Events per second from the broker through lanes, handler, commit, outbox and back into the broker, against a bare loop that does
 * the same SQL in one transaction per event. Both read the same kind of stream, filled before they start; the clock runs from
 * the first event handled until all are handled and all they state is stored by the broker (and, for the bare loop, acknowledged).
 */
export async function hop(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const shape = { events: stage.quick ? 5_000 : 20_000, organizations: 10, topics: 2_000 }
  const ours: Measured[] = []
  const bare: Measured[] = []
  for (let round = 1; round <= stage.rounds; round++) {
    ours.push(await parleySide(stage, shape))
    bare.push(await bareSide(stage, shape))
    stage.log(`hop ${round}/${stage.rounds}: parley ${speak(ours.at(-1))}, bare ${speak(bare.at(-1))}`)
  }
  const spread: Record<string, number> = {}
  for (const organizations of stage.quick ? [] : [1, 200]) {
    spread[organizations] = rounded((await parleySide(stage, { ...shape, organizations })).eventsPerSecond)
    stage.log(`hop with ${organizations} organizations: parley ${spread[organizations]}/s`)
  }
  const rates = (list: Measured[]) => list.map((entry) => entry.eventsPerSecond)
  return {
    name: 'hop',
    ratio: rounded(medianRatio(rates(ours), rates(bare))),
    eventsPerSecond: rounded(median(rates(ours))),
    bareEventsPerSecond: rounded(median(rates(bare))),
    cpuMsPerEvent: rounded(median(ours.map((entry) => entry.cpuMsPerEvent))),
    bareCpuMsPerEvent: rounded(median(bare.map((entry) => entry.cpuMsPerEvent))),
    eventsPerSecondByOrganizations: spread,
    ...shape,
    rounds: stage.rounds,
  }
}

const speak = (measured: Measured | undefined) =>
  measured ? `${rounded(measured.eventsPerSecond)}/s at ${rounded(measured.cpuMsPerEvent)} ms CPU` : 'nothing'

const parleySide = (stage: Stage, shape: Shape) => measure(stage, shape, 'parley.ts', [hopService])
const bareSide = (stage: Stage, shape: Shape) => measure(stage, shape, 'bare.ts', [])

async function measure(stage: Stage, shape: Shape, file: string, services: unknown[]): Promise<Measured> {
  const root = freshRoot()
  const database = await stage.database(services)
  const stream = await fillStream(stage.natsUrl, root, shape)
  const settings = { adminUrl: database.adminUrl, natsUrl: stage.natsUrl, root, events: shape.events }
  const worker = await stage.worker(new URL(file, import.meta.url), settings, file === 'parley.ts' ? 'hop' : undefined)
  try {
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      await wait(20)
      // What comes out is counted at the broker: an event is through when it is stored there.
      const published = (await stream.count()) - shape.events
      const now = performance.timeOrigin + performance.now()
      const progress = (await worker.call('progress')) as Progress
      if (published === shape.events && progress.lastAt !== 0) {
        const seconds = ((progress.lastAt ?? now) - progress.firstAt) / 1000
        return { eventsPerSecond: shape.events / seconds, cpuMsPerEvent: (await worker.usage()).cpuMs / shape.events }
      }
      if (performance.now() > giveUpAt)
        throw new Error(`hop (${file}): ${published} of ${shape.events} events after ${deadlineMs} ms.`)
    }
  } finally {
    await worker.stop()
    await stream.remove()
    await database.drop()
  }
}
