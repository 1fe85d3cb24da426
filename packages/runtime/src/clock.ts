import type { Database } from './db.ts'
import { describe } from './errors.ts'
import type { Logger } from './log.ts'
import { observe } from './telemetry.ts'

/** What time it is, for everything that this process decides or writes down. */
export interface Clock {
  /** Milliseconds since 1970: this machine's clock while it agrees with the database's within a second, else the database's. */
  now(): number
  /** How far this machine's clock is ahead of the database's, in milliseconds; undefined before the first comparison. */
  skewMs(): number | undefined
}

/** The clock of a process, which a database keeps right. */
export interface KeptClock extends Clock {
  /** Compares with the database from now on; resolves after the first time. Only the first database counts: one process, one time. */
  keepBy(database: Pick<Database<never>, 'query'>): Promise<void>
  stop(): void
}

/** Below this nothing we decide would be another decision; machines that keep their time are never further apart. */
const toleratedSkewMs = 1_000
/** Worth somebody's look: reliability.md F28. */
const alarmingSkewMs = 30_000
const compareEveryMs = 10_000
/** An answer that took longer says too little about when it was given. */
const slowestAnswerMs = 1_000
const triesAtStart = 5

/** Two clocks of a machine; only tests have others. */
interface MachineClocks {
  /** What time the machine believes it is; people and time servers set it, forwards and back. */
  wall(): number
  /** Only ever goes on. */
  monotonic(): number
}
const machine: MachineClocks = { wall: () => Date.now(), monotonic: () => performance.now() }

/**
 * One time for all replicas, the database's: leases, due times of jobs and what SQL compares are its own anyway (decision 0015).
 * Between two comparisons the monotonic clock carries it on, so that a machine whose clock jumps is right at once.
 */
export function createClock(log: Logger, clocks: MachineClocks = machine): KeptClock {
  /** What has to be added to the monotonic clock to get the database's. */
  let offset: number | undefined
  let alarmed = false
  let timer: NodeJS.Timeout | undefined

  const databaseNow = () => (offset === undefined ? undefined : clocks.monotonic() + offset)

  function skewMs(): number | undefined {
    const right = databaseNow()
    return right === undefined ? undefined : clocks.wall() - right
  }

  /** True when the answer came soon enough to be worth something. */
  async function compare(database: Pick<Database<never>, 'query'>): Promise<boolean> {
    const asked = clocks.monotonic()
    const [row] = await database.query<{ ms: number }>(`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`)
    const answered = clocks.monotonic()
    const isPrompt = answered - asked <= slowestAnswerMs
    // Half an answer's time is the most that this can be wrong by. A bad first one is better than none.
    if (row && (isPrompt || offset === undefined)) offset = row.ms - (asked + answered) / 2
    tellIfAlarming()
    return isPrompt
  }

  function tellIfAlarming(): void {
    const skew = skewMs()
    if (skew === undefined || Math.abs(skew) > alarmingSkewMs === alarmed) return
    alarmed = !alarmed
    const skewSeconds = Math.round(skew / 100) / 10
    if (alarmed) log.warn({ skewSeconds }, `this machine's clock and the database's disagree; the database's counts`)
    else log.info({ skewSeconds }, `this machine's clock and the database's agree again`)
  }

  return {
    now: () => {
      const wall = clocks.wall()
      const right = databaseNow()
      // Whole milliseconds, as everywhere.
      return right === undefined || Math.abs(wall - right) <= toleratedSkewMs ? wall : Math.round(right)
    },
    skewMs,
    async keepBy(database) {
      if (timer) return
      for (let tries = 0; !(await compare(database)) && tries < triesAtStart; ) tries++
      timer = setInterval(() => {
        compare(database).catch((error: unknown) =>
          // What was learnt last goes on counting: the monotonic clock needs nobody's help for that.
          log.info({ err: describe(error) }, `the database's clock could not be read`),
        )
      }, compareEveryMs)
      timer.unref()
    },
    stop: () => clearInterval(timer),
  }
}

/** Shows the skew at `/metrics`; returns how to stop that. */
export const showSkew = (clock: Clock, service: string): (() => void) =>
  observe('parley.clock.skew', "Seconds by which this machine's clock is ahead of the database's.", () => {
    const skew = clock.skewMs()
    return skew === undefined ? [] : [{ value: skew / 1000, attributes: { service } }]
  })
