import { allServices } from '@parley/all'
import { setTimeout as wait } from 'node:timers/promises'
import { type Load, openLoad } from '../lib/load.ts'
import type { Figure } from '../lib/results.ts'
import { freshRoot, type Stage } from '../lib/stage.ts'
import { percentile, rounded } from '../lib/statistics.ts'
import type { Worker } from '../lib/worker.ts'
import type { Outside } from './outside.ts'
import type { Idle, TurnSettings } from './parley.ts'
import { greetingBody } from './webhook.ts'

/** What a rate did: how many answers reached the provider in the time, and how late. */
interface Run {
  sent: number
  answered: number
  perSecond: number
  p50Ms: number
  p95Ms: number
  p99Ms: number
  cpuMsPerMessage: number
  /** The backlog did not grow: by the end of the time all but the last second's messages had their answers. */
  sustained: boolean
}

const loadConnections = 64
const drainMs = 180_000

/**
 * The main job whole: messages of customers nobody has met before come in through the HTTP door, and for each an answer reaches the
 * provider. Load at a fixed rate, for 60 s; the highest rate that the chain keeps up with is the figure. At half that load, the
 * time from when a webhook was due to when the provider was called.
 */
export async function turn(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const seconds = stage.quick ? 8 : 60
  const outside = await stage.worker(new URL('outside.ts', import.meta.url), {})
  const database = await stage.database(allServices)
  const settings: TurnSettings = {
    adminUrl: database.adminUrl,
    natsUrl: stage.natsUrl,
    root: freshRoot(),
    outside: outside.ready as Outside,
  }
  const parley = await stage.worker(new URL('parley.ts', import.meta.url), settings, 'turn')
  const door = parley.ready as { url: string; path: string; headers: Record<string, string> }
  const load = await openLoad(stage, { ...door, body: greetingBody })
  const parts = { stage, parley, outside, load }
  try {
    await outside.call('setWebhook', { url: door.url + door.path, headers: door.headers })
    await parley.call('settle')
    const idle = (await parley.call('idle', stage.quick ? 5 : 20)) as Idle
    stage.log(`turn, at rest: ${rounded(idle.rssMb)} MB, ${rounded(idle.cpuPercent)} % of a core`)
    await burst(parts, 300) // Warm up: the code is compiled, the statements are prepared.
    const capacity = await burst(parts, stage.quick ? 500 : 2_000)
    stage.log(`turn, a burst: ${rounded(capacity)}/s`)
    const best = await highestSustained(parts, capacity, seconds)
    const half = await atRate(parts, best.perSecond / 2, stage.quick ? 8 : 30)
    stage.log(`turn, half load: p50 ${rounded(half.p50Ms)} ms, p95 ${rounded(half.p95Ms)} ms`)
    await outside.call('callbacks', true)
    const withCallbacks = await highestSustained(parts, best.perSecond / 2, Math.min(seconds, 20))
    return {
      name: 'turn',
      messagesPerSecond: rounded(best.perSecond),
      p95Ms: rounded(half.p95Ms),
      p50Ms: rounded(half.p50Ms),
      p99Ms: rounded(half.p99Ms),
      halfLoadPerSecond: rounded(half.perSecond),
      cpuMsPerMessage: rounded(best.cpuMsPerMessage),
      messagesPerSecondWithCallbacks: rounded(withCallbacks.perSecond),
      idleRssMb: rounded(idle.rssMb),
      idlePssMb: idle.pssMb === undefined ? null : rounded(idle.pssMb),
      idleCpuPercent: rounded(idle.cpuPercent),
      seconds,
      callbacks: 'off in the main figures: neither echo nor statuses come back; with them each answer causes five more webhooks',
    }
  } finally {
    await load.stop()
    await parley.stop()
    await outside.stop()
    await database.drop()
  }
}

interface Parts {
  stage: Stage
  parley: Worker
  outside: Worker
  load: Load
}

const answersOf = async (parts: Parts) => (await parts.outside.call('count')) as number

/** Messages per second that come out when `messages` come in at once. */
async function burst(parts: Parts, messages: number): Promise<number> {
  const before = await answersOf(parts)
  const { startedAt } = await parts.load.run({ connections: loadConnections, requests: messages })
  await drained(parts, before + messages)
  const arrivals = (await parts.outside.call('arrivals')) as [number, number][]
  const lastAt = arrivals.reduce((last, [, at]) => Math.max(last, at), 0)
  return (messages / (lastAt - startedAt)) * 1000
}

/** Looks with short runs, upwards from the estimate while the chain keeps up and downwards while it does not, then proves the rate at full length. */
async function highestSustained(parts: Parts, estimate: number, seconds: number): Promise<Run> {
  const lookSeconds = Math.min(seconds, 10)
  const tryAt = async (perSecond: number, forSeconds: number): Promise<Run> => {
    const run = await atRate(parts, perSecond, forSeconds)
    parts.stage.log(
      `turn at ${rounded(perSecond)}/s for ${forSeconds} s: ${rounded(run.perSecond)}/s out, p95 ${rounded(run.p95Ms)} ms, ${run.sustained ? 'sustained' : 'the backlog grows'}`,
    )
    return run
  }
  let rate = estimate
  while (rate < estimate * 10 && (await tryAt(rate * 1.25, lookSeconds)).sustained) rate *= 1.25
  for (; rate > estimate / 5; rate *= 0.88) {
    const run = await tryAt(rate, seconds)
    if (run.sustained) return run
  }
  throw new Error(`turn: not even a fifth of ${rounded(estimate)}/s is sustained.`)
}

async function atRate(parts: Parts, perSecond: number, seconds: number): Promise<Run> {
  const before = await answersOf(parts)
  const cpuBefore = (await parts.parley.usage()).cpuMs
  const { sentAt, startedAt, requests } = await parts.load.run({
    connections: loadConnections,
    perSecond,
    seconds,
    keepTimes: true,
  })
  await drained(parts, before + requests)
  const cpuMs = (await parts.parley.usage()).cpuMs - cpuBefore
  const arrivals = new Map((await parts.outside.call('arrivals')) as [number, number][])
  const endAt = startedAt + seconds * 1000
  const latencies: number[] = []
  let answered = 0
  for (const [number, from] of sentAt) {
    const at = arrivals.get(number)
    if (at === undefined) throw new Error(`turn: message ${number} has no answer.`)
    latencies.push(at - from)
    if (at <= endAt) answered++
  }
  const sorted = Float64Array.from(latencies).sort()
  return {
    sent: requests,
    answered,
    perSecond: answered / seconds,
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
    cpuMsPerMessage: cpuMs / requests,
    sustained: answered >= requests - perSecond,
  }
}

/** Until every message has its answer and nothing is under way any more. */
async function drained(parts: Parts, answers: number): Promise<void> {
  const giveUpAt = performance.now() + drainMs
  for (;;) {
    const now = await answersOf(parts)
    if (now >= answers) break
    if (performance.now() > giveUpAt) throw new Error(`turn: ${answers - now} messages had no answer after ${drainMs} ms.`)
    await wait(50)
  }
  await parts.outside.call('acknowledged')
  await parts.parley.call('settle')
}
