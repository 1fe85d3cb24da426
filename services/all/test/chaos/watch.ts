import { serviceNames, type World } from './world.ts'

/** The values of a metric's series whose labels contain `labels`, as a process tells them now. */
export async function readMetric(adminUrl: string, name: string, labels = ''): Promise<number[]> {
  const text = await (await fetch(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()
  const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(labels))
  return lines.map((line) =>
    Number(
      line
        .slice(line.lastIndexOf('}') + 1)
        .trim()
        .split(' ')[0],
    ),
  )
}

/** Runs of jobs that were begun more than once, so far. */
export async function runsTriedAgain(world: World): Promise<number> {
  const counts = serviceNames.map((service) => `(select count(*) from ${service}_jobs.job_common where retry_count > 0)`)
  const [row] = await world.sql<{ runs: number }>(`select (${counts.join(' + ')})::int as runs`)
  return row?.runs ?? 0
}

/** Counts what handlers were brought a second time, over processes that come and go. */
export function watchDuplicates(world: World): { look(): Promise<void>; seen(): number } {
  const counts = new Map<number, number>()
  let first: Map<number, number> | undefined
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)
  return {
    async look() {
      for (const { pid, adminUrl, state } of world.supervisor.replicas()) {
        if (state !== 'up') continue
        counts.set(pid, sum(await readMetric(adminUrl, 'parley_events_handled', 'outcome="duplicate"')))
      }
      first ??= new Map(counts)
    },
    seen: () => sum(counts.values()) - sum(first?.values() ?? []),
  }
}

/** Looks on as lanes change hands; gives the longest time in milliseconds that any of them had no holder. */
export function watchLanes(world: World): { stop(): Promise<number> } {
  const freeSince = new Map<string, number>()
  let longestMs = 0
  let stopping = false
  const text = serviceNames
    .map(
      (service) =>
        `select '${service}' as service, lane, holder is null or expires_at < now() as free from ${service}.lane_leases`,
    )
    .join(' union all ')
  const watching = (async () => {
    while (!stopping) {
      const now = performance.now()
      for (const { service, lane, free } of await world.sql<{ service: string; lane: number; free: boolean }>(text)) {
        const id = `${service} ${lane}`
        if (free) freeSince.set(id, freeSince.get(id) ?? now)
        else freeSince.delete(id)
        longestMs = Math.max(longestMs, now - (freeSince.get(id) ?? now))
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    async stop() {
      stopping = true
      await watching
      return Math.round(longestMs)
    },
  }
}

/** Each replica of a service that hears something holds lanes, and none more than its share: no lane changes hands any more. */
export async function lanesAreShared(world: World): Promise<boolean> {
  const text = serviceNames
    .map(
      (service) => `select '${service}' as service, count(*)::int as holders, coalesce(max(held), 0)::int as most from (
        select count(*) as held from ${service}.lane_leases where holder is not null and expires_at > now() group by holder) h`,
    )
    .join(' union all ')
  const rows = await world.sql<{ service: string; holders: number; most: number }>(text)
  return rows.every(({ service, holders, most }) => {
    const replicas = world.supervisor.live(service).length
    return holders === 0 || (holders === replicas && most <= Math.ceil(16 / replicas))
  })
}

/**
 * Looks on while no replica comes or goes: whoever then takes a lane whose lease still runs, by the database's clock, has taken it from
 * somebody who reads it too. Gives each such case.
 */
export function watchTakeovers(world: World): { stop(): Promise<string[]> } {
  interface Lease {
    service: string
    lane: number
    holder: string
    until: number
    now: number
  }
  const text = serviceNames
    .map(
      (service) => `select '${service}' as service, lane, holder, extract(epoch from expires_at)::float8 as until,
        extract(epoch from now())::float8 as now from ${service}.lane_leases where holder is not null`,
    )
    .join(' union all ')
  const last = new Map<string, Lease>()
  const takeovers: string[] = []
  let stopping = false
  const watching = (async () => {
    while (!stopping) {
      for (const lease of await world.sql<Lease>(text)) {
        const id = `${lease.service} ${lease.lane}`
        const before = last.get(id)
        if (before && before.holder !== lease.holder && before.until > lease.now)
          takeovers.push(`lane ${id} was taken ${(before.until - lease.now).toFixed(1)} s before its lease ended`)
        last.set(id, lease)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    async stop() {
      stopping = true
      await watching
      return takeovers
    },
  }
}
