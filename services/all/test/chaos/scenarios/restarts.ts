import type { Scenario } from '../scenario.ts'
import { serviceNames, type World } from '../world.ts'
import { expectThat } from './until.ts'

/** Longer than any graceful hand-over takes; a lapsed lease alone takes four seconds. */
const longestWithoutHolderMs = 5_000

export const rollingRestart: Scenario = {
  fault: 'F42',
  title: 'each service is restarted under load, one process after the other',
  async run({ world, sender, ledger, quick }) {
    const rounds = quick ? 1 : 10
    const before = ledger.sends.length
    const duplicates = watchDuplicates(world)
    await duplicates.look()
    const triedAgain = await runsTriedAgain(world)
    const lanes = watchLanes(world)
    const load = sender.load({ customersAtOnce: quick ? 6 : 10, pauseMs: 500 })
    try {
      for (let round = 0; round < rounds; round++) {
        for (const service of serviceNames) {
          await world.supervisor.rollingRestart(service)
          await duplicates.look()
        }
      }
    } finally {
      await load.stop()
    }
    await duplicates.look()
    const longestMs = await lanes.stop()
    const answers = ledger.sends.slice(before).flatMap((send) => send.answers)
    const failed = answers.filter((answer) => answer !== 200 && answer !== 503)
    expectThat(failed.length === 0, `requests failed: ${failed.join(', ')}`)
    expectThat(duplicates.seen() === 0, `${duplicates.seen()} events were brought twice`)
    const cutOff = (await runsTriedAgain(world)) - triedAgain
    expectThat(cutOff === 0, `${cutOff} job runs were cut off and tried again`)
    expectThat(longestMs < longestWithoutHolderMs, `a lane had no holder for ${longestMs} ms`)
    return { rounds, note: `${answers.filter((answer) => answer === 503).length} × 503; lanes free for ${longestMs} ms at most` }
  },
}

async function runsTriedAgain(world: World): Promise<number> {
  const counts = serviceNames.map((service) => `(select count(*) from ${service}_jobs.job_common where retry_count > 0)`)
  const [row] = await world.sql<{ runs: number }>(`select (${counts.join(' + ')})::int as runs`)
  return row?.runs ?? 0
}

/** Counts what handlers were brought a second time, over processes that come and go. */
function watchDuplicates(world: World): { look(): Promise<void>; seen(): number } {
  const counts = new Map<number, number>()
  let first: Map<number, number> | undefined
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)
  return {
    async look() {
      for (const { pid, adminUrl, state } of world.supervisor.replicas()) {
        if (state !== 'up') continue
        const text = await (await fetch(`${adminUrl}/metrics`)).text()
        const lines = text
          .split('\n')
          .filter((line) => line.startsWith('parley_events_handled') && line.includes('outcome="duplicate"'))
        counts.set(
          pid,
          sum(
            lines.map((line) =>
              Number(
                line
                  .slice(line.lastIndexOf('}') + 1)
                  .trim()
                  .split(' ')[0],
              ),
            ),
          ),
        )
      }
      first ??= new Map(counts)
    },
    seen: () => sum(counts.values()) - sum(first?.values() ?? []),
  }
}

/** Looks on as lanes change hands; gives the longest time in milliseconds that any of them had no holder. */
function watchLanes(world: World): { stop(): Promise<number> } {
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
