import pg from 'pg'
import { setTimeout as wait } from 'node:timers/promises'
import { startAccountTraffic } from '../account-traffic.ts'
import { type Credentials, elsewhere, knows, signInAndMakeKey, statusOf } from '../callers.ts'
import { metersAgree } from '../meters.ts'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { expectThat, until } from './until.ts'

/** What sign-ins, changes of members and metering read and write. */
const lockedTables = [
  'organizations',
  'members',
  'invitations',
  'api_keys',
  'sessions',
  'usage_settings',
  'usage_slots',
  'usage_logs',
]
/** The rows that every use of the organization is counted on, and its members. */
const lockedRows = ['usage_settings', 'usage_slots', 'members']
/** From the release of a lock to the answer on the phone. */
const longestAnswerMs = 30_000

/** Whoever writes while it holds a lock holds the horizon of every relay too (decision 0005): then answers wait for its end, by design. */
export const accountsIsLocked: Scenario = {
  fault: 'F14',
  title: "accounts' tables are under ACCESS EXCLUSIVE, as a long ALTER TABLE holds them, and then some of its rows",
  settleMs: 180_000,
  async run(stage) {
    const { world, sender, quick } = stage
    const lockedMs = quick ? 10_000 : 60_000
    const load = sender.load({ customersAtOnce: quick ? 3 : 6, pauseMs: 1_500 })
    const known = await signInAndMakeKey(world)
    await until('every service knows the member and the key', () => knows(world, known), 20_000)
    const traffic = await startAccountTraffic(world)
    let looks = 0
    try {
      for (const lock of [lockTables, lockRows]) {
        looks += await holding(stage, lock, lockedMs, () => othersGoOn(stage, known))
        await isAnswered(stage)
      }
    } finally {
      await load.stop()
      await traffic.stop()
    }
    const left = await quiesce(world, 180_000)
    expectThat(left.length === 0, `still under way: ${left.join('; ')}`)
    return {
      rounds: 2,
      note: `${lockedMs / 1000} s each, ${looks} looks; ${await traffic.check()}; ${await metersAgree(stage)} messages metered`,
    }
  },
}

/** Holds what `lock` locks for so long, looking again and again; gives how often. */
async function holding(
  { world }: Stage,
  lock: (hog: pg.Client) => Promise<boolean>,
  heldMs: number,
  look: () => Promise<void>,
): Promise<number> {
  const hog = new pg.Client({ connectionString: world.adminUrl, application_name: 'hog' })
  await hog.connect()
  try {
    await hog.query(`set idle_in_transaction_session_timeout = 0; set lock_timeout = '10s'`)
    await until('the lock is held', () => lock(hog), 60_000)
    let looks = 0
    for (const freeAt = performance.now() + heldMs; performance.now() < freeAt; looks++) {
      await look()
      await wait(500)
    }
    await hog.query('commit')
    return looks
  } finally {
    await hog.end()
  }
}

const lockTables = (hog: pg.Client) =>
  locks(hog, [`lock table ${lockedTables.map((name) => `accounts.${name}`).join(', ')} in access exclusive mode`])

const lockRows = (hog: pg.Client) =>
  locks(
    hog,
    lockedRows.map((name) => `select from accounts.${name} for update`),
  )

/** False when somebody held them in another order, or for too long: Postgres then lets one of the two go, and it may be us. */
async function locks(hog: pg.Client, statements: readonly string[]): Promise<boolean> {
  await hog.query('begin')
  try {
    for (const statement of statements) await hog.query(statement)
    return true
  } catch (error) {
    await hog.query('rollback')
    if (['40P01', '55P03'].includes((error as { code?: string }).code ?? '')) return false
    throw error
  }
}

/** Webhooks are taken, and the services that do not need the locked tables know their callers. */
async function othersGoOn({ world, sender }: Stage, { token, tokenUntil, key }: Credentials): Promise<void> {
  const { answers } = await sender.newCustomer().writes()
  expectThat(answers.length === 1, `a webhook was taken only after ${answers.join(', ')}`)
  for (const path of elsewhere) {
    const credentials = performance.now() < tokenUntil - 5_000 ? [token, key] : [key]
    for (const credential of credentials) {
      const status = await statusOf(world, credential, path)
      expectThat(status === 200, `a known caller was answered ${status} at ${path}`)
    }
  }
}

async function isAnswered({ world, sender }: Stage): Promise<void> {
  const { ref } = await sender.newCustomer().writes()
  await world.phone.waitForSent(({ text }) => text?.includes(ref as string) === true, longestAnswerMs)
}
