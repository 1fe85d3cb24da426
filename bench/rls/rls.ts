import { allServices } from '@parley/all'
import { roleOf } from '@parley/runtime'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Figure } from '../lib/results.ts'
import { roleUrl, type Stage } from '../lib/stage.ts'
import { median, medianRatio, rounded } from '../lib/statistics.ts'
import type { Worker } from '../lib/worker.ts'
import { type Read, type Reading, reads } from './reads.ts'
import { fillRows } from './rows.ts'

interface Rates {
  on: number[]
  off: number[]
}

const connections = 4
/** Four million rows; beyond this the machine is too busy for figures. */
const longestFillSeconds = 120

/**
 * What the second lock costs: the three commonest reads of inbox as its own role, which row-level security binds, against the same
 * reads as a role with the same rights and BYPASSRLS. Nothing else differs: same code, same transaction, same rows.
 */
export async function rls(stage: Stage): Promise<Omit<Figure, 'command'>> {
  const shape = { organizations: 1_000, people: 1_000, messages: 1_000, messagesEach: 50 }
  const seconds = 0.5
  const pairs = stage.quick ? 4 : stage.rounds * 10
  const inbox = allServices.filter(({ name }) => name === 'inbox')
  const database = await stage.database(inbox)
  const bypass = await createBypass(database.adminUrl)
  const rates: Record<Read, Rates> = { conversations: noRates(), messages: noRates(), customer: noRates() }
  let fillSeconds = 0
  try {
    fillSeconds = await fillRows(database.adminUrl, shape)
    stage.log(
      `rls: ${shape.organizations} organizations with ${shape.people} customers and ${shape.messages} messages each after ${rounded(fillSeconds)} s`,
    )
    if (fillSeconds > longestFillSeconds) throw new Error(`Filling the tables took ${fillSeconds} s.`)
    const open = (role: string) =>
      stage.worker(new URL('reader.ts', import.meta.url), { ...shape, connections, url: roleUrl(database.adminUrl, role) })
    const on = await open(roleOf('inbox'))
    const off = await open(bypass.role)
    try {
      const seen = await Promise.all([on, off].map((side) => side.call('seesOthers')))
      if (seen[0] !== false || seen[1] !== true) throw new Error('It is not row-level security in which the two sides differ.')
      for (const read of reads) {
        await Promise.all([on, off].map((side) => run(side, { read, seconds, seed: 0 })))
        for (let seed = 1; seed <= pairs; seed++) {
          const reading = { read, seconds, seed }
          // Each other pair the other way round: whoever comes second finds the pages of the first in memory.
          const sides = seed % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const)
          for (const side of sides) rates[read][side].push(await run(side === 'on' ? on : off, reading))
        }
        const { on: ours, off: theirs } = rates[read]
        stage.log(
          `rls, ${read}: on ${rounded(median(ours))}/s, off ${rounded(median(theirs))}/s, ratio ${rounded(medianRatio(ours, theirs))}`,
        )
      }
    } finally {
      await on.stop()
      await off.stop()
    }
  } finally {
    await database.drop()
    await bypass.drop()
  }
  const ratioOf = (read: Read) => medianRatio(rates[read].on, rates[read].off)
  return {
    name: 'rls',
    ratio: rounded(reads.reduce((product, read) => product * ratioOf(read), 1) ** (1 / reads.length)),
    byRead: Object.fromEntries(
      reads.map((read) => [
        read,
        {
          ratio: rounded(ratioOf(read)),
          perSecond: rounded(median(rates[read].on)),
          offPerSecond: rounded(median(rates[read].off)),
        },
      ]),
    ),
    ...shape,
    fillSeconds: rounded(fillSeconds),
    connections,
    seconds,
    pairs,
  }
}

const noRates = (): Rates => ({ on: [], off: [] })

async function run(side: Worker, reading: Reading): Promise<number> {
  const { perSecond } = (await side.call('run', reading)) as { perSecond: number }
  return perSecond
}

/** A role that may all that inbox may, and that row-level security does not bind. Roles belong to the server, so it goes with the database. */
async function createBypass(adminUrl: string): Promise<{ role: string; drop(): Promise<void> }> {
  const role = `parley_bench_bypass_${randomBytes(6).toString('hex')}`
  const owner = roleOf('inbox')
  const asAdmin = async (text: string, url: URL | string) => {
    const admin = new pg.Client({ connectionString: url.toString() })
    await admin.connect()
    try {
      await admin.query(text)
    } finally {
      await admin.end()
    }
  }
  const password = new URL(roleUrl(adminUrl, role)).password
  // The same time-outs as any service's role.
  const settings = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
  await asAdmin(
    `create role ${role} login bypassrls nosuperuser password ${pg.escapeLiteral(password)}; grant ${owner} to ${role};
     ${settings.map((name) => `alter role ${role} set ${name} = '15s'`).join('; ')}`,
    adminUrl,
  )
  const server = new URL(adminUrl)
  server.pathname = '/postgres'
  return { role, drop: () => asAdmin(`drop role ${role}`, server) }
}
