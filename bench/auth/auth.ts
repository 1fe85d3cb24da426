import { openLoad } from '../lib/load.ts'
import type { Figure } from '../lib/results.ts'
import { freshRoot, type Stage } from '../lib/stage.ts'
import { median, medianRatio, rounded } from '../lib/statistics.ts'
import type { AuthDoor } from './parley.ts'
import { authService } from './service.ts'

const sides = ['public', 'token', 'key'] as const
type Side = (typeof sides)[number]
interface Measured {
  perSecond: number
  p50Ms: number
  p99Ms: number
  cpuMsPerRequest: number
}

const databaseConnections = 12
const connections = 64

/**
 * What it costs to know who calls: the same read of one row under row-level security, asked by anybody, with an access token (signature,
 * signing key, session, membership, role) and with an API key whose limits are counted over all replicas.
 */
export async function auth(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const seconds = stage.quick ? 2 : 5
  const measured: Record<Side, Measured[]> = { public: [], token: [], key: [] }
  for (let round = 1; round <= stage.rounds; round++) {
    const database = await stage.database([authService])
    const settings = { adminUrl: database.adminUrl, connections: databaseConnections, natsUrl: stage.natsUrl, root: freshRoot() }
    const worker = await stage.worker(new URL('parley.ts', import.meta.url), settings, 'auth')
    const door = worker.ready as AuthDoor
    const loads = await Promise.all(sides.map(async (side) => ({ side, load: await openLoad(stage, targetOf(side, door)) })))
    try {
      for (const { load } of loads) await load.run({ connections, seconds: 1 })
      // Each side three times, each time another one first: whoever runs first warms the server up for the others.
      for (let turn = 0; turn < sides.length; turn++) {
        for (const { side, load } of [...loads.slice(turn), ...loads.slice(0, turn)]) {
          const before = (await worker.usage()).cpuMs
          const { perSecond, p50Ms, p99Ms, requests } = await load.run({ connections, seconds })
          const cpuMsPerRequest = ((await worker.usage()).cpuMs - before) / requests
          measured[side].push({ perSecond, p50Ms, p99Ms, cpuMsPerRequest })
          stage.log(
            `auth ${round}/${stage.rounds}, ${side}: ${rounded(perSecond)}/s, p50 ${rounded(p50Ms)} ms, p99 ${rounded(p99Ms)} ms, ${rounded(cpuMsPerRequest)} ms CPU`,
          )
        }
      }
    } finally {
      for (const { load } of loads) await load.stop()
      await worker.stop()
      await database.drop()
    }
  }
  const rates = (side: Side) => measured[side].map((entry) => entry.perSecond)
  const summary = (side: Side) => {
    const mid = (field: keyof Measured) => rounded(median(measured[side].map((entry) => entry[field])))
    return {
      perSecond: mid('perSecond'),
      p50Ms: mid('p50Ms'),
      p99Ms: mid('p99Ms'),
      cpuMsPerRequest: mid('cpuMsPerRequest'),
    }
  }
  return {
    name: 'auth',
    ratio: rounded(medianRatio(rates('token'), rates('public'))),
    keyRatio: rounded(medianRatio(rates('key'), rates('public'))),
    public: summary('public'),
    token: summary('token'),
    key: summary('key'),
    connections,
    seconds,
    rounds: stage.rounds,
  }
}

function targetOf(side: Side, { url, token, key }: AuthDoor) {
  const credential = side === 'token' ? token : key
  return {
    url,
    method: 'GET' as const,
    path: side === 'public' ? '/v1/public-note' : '/v1/own-note',
    headers: side === 'public' ? {} : { authorization: `Bearer ${credential}` },
    body: '',
  }
}
