import { ingest as ingestService } from '@parley/ingest'
import { openLoad } from '../lib/load.ts'
import type { Figure } from '../lib/results.ts'
import { freshRoot, type Stage } from '../lib/stage.ts'
import { median, medianRatio, rounded } from '../lib/statistics.ts'
import { type Door, webhookBody } from './webhook.ts'

const sides = ['parley', 'row', 'group'] as const
type Side = (typeof sides)[number]
interface Measured {
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Of the server's process, all that follows in it included (ours publishes the events, too). */
  cpuMsPerRequest: number
}

/** Connections to Postgres, of each side. */
const databaseConnections = 12
const connectionCounts = [64, 128, 256]

/**
 * Webhooks accepted durably per second by the real ingest service (token, secret header, normalising, receipt, items, outbox), against a
 * bare Fastify route that inserts one row per request, and against the bare limit of a group commit.
 */
export async function ingest(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const seconds = stage.quick ? 2 : 5
  const measured = new Map<string, Measured[]>()
  const of = (side: Side, connections: number) => measured.get(`${side} ${connections}`) ?? []
  for (let round = 1; round <= stage.rounds; round++) {
    const servers = await Promise.all(sides.map((side) => openSide(stage, side)))
    try {
      for (const connections of connectionCounts) {
        for (const { side, load, settle, cpuMs } of servers) {
          await load.run({ connections, seconds: 1 })
          await settle()
          const before = await cpuMs()
          const { perSecond, p50Ms, p99Ms, requests } = await load.run({ connections, seconds })
          await settle()
          const cpuMsPerRequest = ((await cpuMs()) - before) / requests
          measured.set(`${side} ${connections}`, [...of(side, connections), { perSecond, p50Ms, p99Ms, cpuMsPerRequest }])
          stage.log(
            `ingest ${round}/${stage.rounds}, ${connections} connections, ${side}: ${rounded(perSecond)}/s, p50 ${rounded(p50Ms)} ms, p99 ${rounded(p99Ms)} ms, ${rounded(cpuMsPerRequest)} ms CPU`,
          )
        }
      }
    } finally {
      for (const server of servers) await server.stop()
    }
  }
  const rates = (side: Side, connections: number) => of(side, connections).map((entry) => entry.perSecond)
  const mid = (side: Side, connections: number, field: keyof Measured) =>
    rounded(median(of(side, connections).map((entry) => entry[field])))
  const byConnections = connectionCounts.map((connections) => ({
    connections,
    ratio: rounded(medianRatio(rates('parley', connections), rates('row', connections))),
    limitShare: rounded(medianRatio(rates('parley', connections), rates('group', connections))),
    perSecond: mid('parley', connections, 'perSecond'),
    barePerSecond: mid('row', connections, 'perSecond'),
    limitPerSecond: mid('group', connections, 'perSecond'),
    p50Ms: mid('parley', connections, 'p50Ms'),
    bareP50Ms: mid('row', connections, 'p50Ms'),
    p99Ms: mid('parley', connections, 'p99Ms'),
    bareP99Ms: mid('row', connections, 'p99Ms'),
    cpuMsPerRequest: mid('parley', connections, 'cpuMsPerRequest'),
    bareCpuMsPerRequest: mid('row', connections, 'cpuMsPerRequest'),
  }))
  return {
    name: 'ingest',
    // Over all pairs at the same number of connections.
    ratio: rounded(
      medianRatio(
        connectionCounts.flatMap((n) => rates('parley', n)),
        connectionCounts.flatMap((n) => rates('row', n)),
      ),
    ),
    limitShare: rounded(
      medianRatio(
        connectionCounts.flatMap((n) => rates('parley', n)),
        connectionCounts.flatMap((n) => rates('group', n)),
      ),
    ),
    byConnections,
    bodyBytes: webhookBody.length,
    seconds,
    rounds: stage.rounds,
  }
}

async function openSide(stage: Stage, side: Side) {
  const isOurs = side === 'parley'
  const database = await stage.database(isOurs ? [ingestService] : [])
  const shared = { adminUrl: database.adminUrl, connections: databaseConnections }
  const worker = isOurs
    ? await stage.worker(
        new URL('parley.ts', import.meta.url),
        { ...shared, natsUrl: stage.natsUrl, root: freshRoot() },
        'ingest',
      )
    : await stage.worker(new URL('bare.ts', import.meta.url), { ...shared, kind: side })
  const door = worker.ready as Door
  const load = await openLoad(stage, { ...door, body: webhookBody })
  return {
    side,
    load,
    settle: () => worker.call('settle'),
    cpuMs: async () => (await worker.usage()).cpuMs,
    async stop() {
      await load.stop()
      await worker.stop()
      await database.drop()
    },
  }
}
