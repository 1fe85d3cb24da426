import pg from 'pg'
import { z } from 'zod'
import type { Api } from '../api.ts'
import type { Running } from '../running.ts'
import { allServices } from '../services.ts'
import { check, type Finding, Skip } from './finding.ts'

const longestOutboxSeconds = 60
const largestSkewMs = 2_000

/** How a running Parley is. `running` is undefined for one elsewhere (PARLEY_URL): then only its door is looked at. */
export async function instanceFindings(api: Api, running: Running | undefined): Promise<Finding[]> {
  return [
    await check('door', 'Look into the log; restart with Ctrl-C and `parley start`.', () => readiness(api.url)),
    ...(await Promise.all(
      (running?.adminUrls ?? []).map(({ name, url }) =>
        check(`process ${name}`, 'The log of this process tells what it waits for.', () => readiness(url)),
      ),
    )),
    await check(
      'broker durability',
      'Set `jetstream { sync_interval: always }` on a single NATS node: without it a power cut loses events it had acknowledged.',
      () => brokerSync(running),
    ),
    await check('event stream', 'Restart the services: they make it anew, and the outboxes fill it.', () => eventStream(running)),
    await check('outbox age', 'Events are not leaving: is the broker up, and its disk not full?', () => outboxAge(running)),
    await check(
      'unpublishable events',
      'No try can publish these, and none of the others waits for them: mend what stated them, then `parley dead redrive <id>` or drop them.',
      () => unpublishable(running, api),
    ),
    await check('dead letters', '`parley dead list` shows them; mend the cause, then `parley dead redrive <id>`.', () =>
      deadLetters(api),
    ),
    await check(
      'clock',
      'Synchronise the clocks (NTP) of this machine and the database: times in events and timelines are wrong otherwise.',
      () => clock(running),
    ),
  ]
}

async function getJson<T>(url: string, shape: z.ZodType<T>): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
  return shape.parse(await response.json())
}

async function readiness(url: string): Promise<string> {
  const { checks } = await getJson(`${url}/readyz`, z.object({ checks: z.record(z.string(), z.boolean()) }))
  const not = Object.entries(checks).filter(([, fine]) => !fine)
  if (not.length > 0) throw new Error(`not ready: ${not.map(([name]) => name).join(', ')}`)
  return `ready at ${url}`
}

const monitoringOf = (running: Running | undefined) => {
  if (!running?.natsMonitoringUrl) throw new Skip("the broker's monitoring address is not known here")
  return running.natsMonitoringUrl
}

async function brokerSync(running: Running | undefined): Promise<string> {
  const Varz = z.object({
    version: z.string(),
    jetstream: z.object({ config: z.object({ sync_interval: z.number().optional(), sync_always: z.boolean().optional() }) }),
  })
  const { version, jetstream } = await getJson(`${monitoringOf(running)}/varz`, Varz)
  if (jetstream.config.sync_always !== true)
    throw new Error(`nats-server ${version} flushes every ${(jetstream.config.sync_interval ?? 0) / 1e9} s`)
  return `nats-server ${version} flushes before it acknowledges`
}

async function eventStream(running: Running | undefined): Promise<string> {
  const Stream = z.object({ name: z.string(), state: z.object({ messages: z.number(), bytes: z.number() }) })
  const Jsz = z.object({ account_details: z.array(z.object({ stream_detail: z.array(Stream).optional() })).optional() })
  const { account_details = [] } = await getJson(`${monitoringOf(running)}/jsz?streams=1&accounts=1`, Jsz)
  const stream = account_details.flatMap((account) => account.stream_detail ?? []).find(({ name }) => name === 'EVT')
  if (!stream) throw new Error('there is no stream EVT')
  return `${stream.state.messages} events, ${(stream.state.bytes / 1024 ** 2).toFixed(1)} MiB`
}

/** What the processes say of a metric that has a service's name. */
async function metricOf(running: Running | undefined, name: string): Promise<{ service: string; value: number }[]> {
  if (!running) throw new Skip('metrics are only on the machine itself')
  const pattern = new RegExp(`^${name}(?:_[a-z]+)?\\{([^}]*)\\} ([0-9.e+-]+)`, 'gm')
  const texts = await Promise.all(
    running.adminUrls.map(async ({ url }) => (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()),
  )
  return [...texts.join('\n').matchAll(pattern)].map(([, labels = '', value]) => ({
    service: /service="([^"]*)"/.exec(labels)?.[1] ?? '',
    value: Number(value),
  }))
}

/** How many there are of all organizations, and which they are of the caller's own. */
async function unpublishable(running: Running | undefined, api: Api): Promise<string> {
  const some = (await metricOf(running, 'parley_outbox_unpublishable')).filter(({ value }) => value > 0)
  if (some.length === 0) return 'none'
  const Page = z.object({
    items: z.array(z.object({ id: z.string(), handler: z.string(), type: z.string(), error: z.string().nullable() })),
  })
  const named = await Promise.all(
    some.map(async ({ service, value }) => {
      const { items } = await api.get(`/v1/ops/${service}/dead-letters?limit=100`, Page)
      const own = items.filter(({ handler }) => handler === 'relay').slice(0, 3)
      return [`${value} of ${service}`, ...own.map(({ id, type, error }) => `${type} ${id} (${error ?? 'no reason'})`)].join(': ')
    }),
  )
  throw new Error(named.join('; '))
}

async function outboxAge(running: Running | undefined): Promise<string> {
  const oldest = Math.max(0, ...(await metricOf(running, 'parley_outbox_age')).map(({ value }) => value))
  if (oldest > longestOutboxSeconds) throw new Error(`the oldest event waits for ${oldest.toFixed(0)} s`)
  return oldest === 0 ? 'nothing waits' : `the oldest event waits for ${oldest.toFixed(1)} s`
}

async function deadLetters(api: Api): Promise<string> {
  const Page = z.object({ total: z.number() })
  const counts = await Promise.all(
    allServices.map(async ({ name }) => ({ name, total: (await api.get(`/v1/ops/${name}/dead-letters?limit=1`, Page)).total })),
  )
  const some = counts.filter(({ total }) => total > 0)
  if (some.length > 0) throw new Error(some.map(({ name, total }) => `${total} in ${name}`).join(', '))
  return 'none'
}

async function clock(running: Running | undefined): Promise<string> {
  if (!running?.postgresUrl) throw new Skip('the database is not reached from here')
  const client = new pg.Client({ connectionString: running.postgresUrl, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
  await client.connect()
  try {
    const asked = Date.now()
    const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now')
    const answered = Date.now()
    const theirs = rows[0]?.now.getTime() ?? 0
    // The database looked at its clock at some moment between question and answer.
    const skewMs = theirs < asked ? theirs - asked : theirs > answered ? theirs - answered : 0
    if (Math.abs(skewMs) > largestSkewMs) throw new Error(`the database is ${skewMs} ms off`)
    return skewMs === 0 ? 'as the database has it' : `${skewMs} ms off the database`
  } finally {
    await client.end()
  }
}
