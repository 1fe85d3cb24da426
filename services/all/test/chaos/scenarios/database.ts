import { existsSync } from 'node:fs'
import pg from 'pg'
import { setTimeout as wait } from 'node:timers/promises'
import type { Scenario, Stage } from '../scenario.ts'
import { startAccountTraffic } from '../account-traffic.ts'
import { statusOf } from '../callers.ts'
import { metersAgree } from '../meters.ts'
import { quiesce } from '../quiesce.ts'
import { maxConnections } from '../servers.ts'
import { serviceNames } from '../world.ts'
import { expectThat, until } from './until.ts'

export const databaseRestarts: Scenario = {
  fault: 'F11',
  title: 'Postgres restarts (fast, crash), and one backend is killed',
  async run(stage) {
    const { world, sender } = stage
    const rounds = stage.quick ? 1 : 5
    const pids = world.supervisor.replicas().map(({ pid }) => pid)
    const deaths = world.deaths.length
    const load = sender.load({ customersAtOnce: 6, pauseMs: 600 })
    try {
      for (let round = 0; round < rounds; round++) {
        await wait(500)
        await world.database.restart('fast')
        await wait(1_000)
        await world.database.restart('kill')
        await wait(1_000)
        await killBackend(stage)
      }
      await wait(1_000)
    } finally {
      await load.stop()
    }
    expectThat(world.deaths.length === deaths, `a process died with the database: ${JSON.stringify(world.deaths.slice(deaths))}`)
    expectThat(
      pids.every((pid) => world.supervisor.replicas().some((replica) => replica.pid === pid)),
      'a process was replaced',
    )
    return { rounds: rounds * 3, note: badAnswers(stage) }
  },
}

/** Postgres then throws everybody out and recovers by itself. */
async function killBackend({ world }: Stage): Promise<void> {
  const backends = await world.sql<{ pid: number }>(
    `select pid from pg_stat_activity where application_name = 'parley-inbox' limit 1`,
  )
  const pid = backends[0]?.pid
  expectThat(pid !== undefined, 'inbox has no connection to kill')
  process.kill(pid, 'SIGKILL')
  await world.sql('select 1')
}

function badAnswers({ ledger }: Stage): string {
  const answers = ledger.sends.flatMap((send) => send.answers)
  return `${answers.filter((answer) => answer === 503).length} × 503`
}

export const connectionsRunOut: Scenario = {
  fault: 'F13',
  title: 'somebody holds every connection of Postgres',
  async run(stage) {
    const { world, sender } = stage
    const load = sender.load({ customersAtOnce: 4, pauseMs: 600 })
    const hogs: pg.Client[] = []
    const recovered = { afterMs: 0 }
    try {
      await wait(500)
      const url = new URL(world.database.url)
      const open = async () => {
        const client = new pg.Client({
          connectionString: url.toString(),
          application_name: 'hog',
          connectionTimeoutMillis: 5_000,
        })
        client.on('error', () => {})
        await client.connect()
        hogs.push(client)
      }
      await open()
      // Whoever has a connection loses it, and finds all of them taken.
      for (let i = hogs.length; i < maxConnections; i++) {
        await hogs[0]?.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where usename like 'parley\\_%' and usename <> current_user`,
        )
        await open().catch(() => undefined)
        if (hogs.length < i) break
      }
      await hogs[0]?.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename like 'parley\\_%' and usename <> current_user`,
      )
      const answers = new Set<string | number>()
      await until(
        'a refusal with 503',
        async () => {
          answers.add((await sender.postOnce(sender.newCustomer().message({ text: 'ping' }).payload)).status)
          return answers.has(503)
        },
        20_000,
      )
      expectThat(
        [...answers].every((answer) => answer === 200 || answer === 503),
        `the door answered ${[...answers].join(', ')}`,
      )
    } finally {
      const released = performance.now()
      await Promise.all(hogs.map((client) => client.end()))
      await until(
        'every service ready after the release',
        async () => (await sender.postOnce(sender.newCustomer().message({ text: 'ping' }).payload)).status === 200,
        5_000,
      )
      recovered.afterMs = Math.round(performance.now() - released)
      await load.stop()
    }
    expectThat(world.supervisor.replicas().length >= serviceNames.length, 'a process died')
    return { rounds: 1, note: `taken again after ${recovered.afterMs} ms` }
  },
}

/** A statement is given up after ten seconds; a second for whoever was already waiting, and for two busy cores. */
const longestAnswerMs = 13_000

export const databaseFreezes: Scenario = {
  fault: 'F12',
  title: 'Postgres stops answering (SIGSTOP): connections stay open and nothing comes back',
  impossible: () => (existsSync('/proc/self/stat') ? undefined : 'the processes of the server cannot be found without /proc'),
  settleMs: 120_000,
  async run(stage) {
    const { world, sender, quick } = stage
    const frozenMs = quick ? 13_000 : 20_000
    const rounds = quick ? 1 : 3
    const pids = world.supervisor.replicas().map(({ pid }) => pid)
    const load = sender.load({ customersAtOnce: 4, pauseMs: 1_000 })
    const traffic = await startAccountTraffic(world)
    let recoveredMs = 0
    try {
      for (let round = 0; round < rounds; round++) {
        await wait(2_000)
        const frozen = world.database.freeze(frozenMs)
        const message = sender.newCustomer().message()
        // Asked for while nothing answers: refused in time, by the door and by a service that looks its caller up.
        const asked = performance.now()
        const [webhook, read] = await Promise.all([
          sender.postOnce(message.payload),
          statusOf(world, world.operatorKey, '/v1/conversations', longestAnswerMs),
        ])
        const tookMs = performance.now() - asked
        expectThat(webhook.status === 503, `a webhook was answered ${webhook.status} while nothing could be stored`)
        expectThat(read === 503, `a read was answered ${read}`)
        expectThat(tookMs < longestAnswerMs, `a refusal took ${Math.round(tookMs)} ms`)
        await frozen
        const free = performance.now()
        // The gateway tries again with what was refused: it may have been stored all the same.
        await sender.post(message.payload, message.fact)
        recoveredMs = Math.max(recoveredMs, performance.now() - free)
        expectThat(recoveredMs < 10_000, `a webhook was taken again only after ${Math.round(recoveredMs)} ms`)
        await until('no transaction is left open', async () => (await leftOpen(stage)) === 0, 20_000, 500)
      }
      await wait(2_000)
    } finally {
      await load.stop()
      await traffic.stop()
    }
    expectThat(
      pids.every((pid) => world.supervisor.replicas().some((replica) => replica.pid === pid)),
      'a process was replaced',
    )
    const left = await quiesce(world, 120_000)
    expectThat(left.length === 0, `still under way: ${left.join('; ')}`)
    return {
      rounds,
      note: `taken again after ${Math.round(recoveredMs)} ms; ${await traffic.check()}; ${await metersAgree(stage)} messages metered`,
    }
  },
}

/** Transactions of ours that nobody goes on with. */
async function leftOpen({ world }: Stage): Promise<number> {
  const [row] = await world.sql<{ open: number }>(
    `select count(*)::int as open from pg_stat_activity
     where usename like 'parley\\_%' and state like 'idle in transaction%' and state_change < now() - interval '2 seconds'`,
  )
  return row?.open ?? 0
}
