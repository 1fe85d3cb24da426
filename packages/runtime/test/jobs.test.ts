import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, inject, test } from 'vitest'
import { LeaseLost, Permanent, RetryLater } from '../src/index.ts'
import { jobInserter } from '../src/job-insert.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import {
  gate,
  markOn,
  onlyWork,
  singletonWork,
  standardWork,
  statelyWork,
  strictWork,
  workDone,
  workshop,
  workshopOf,
} from './workshop.ts'

let world: World
let shop: ReturnType<typeof workshopOf>
beforeAll(async () => {
  world = await startWorld({ services: [workshop], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  shop = workshopOf(world)
})
afterAll(async () => {
  await world?.stop()
})
const soon = { timeout: 20_000, interval: 50 }

test('whose runs are slow leaves places for the runs of others', async ({ expect }) => {
  const slow = gate()
  const theirs = shop.task(() => slow.opened)
  for (let n = 0; n < 24; n++) await shop.ask(standardWork, theirs)
  const active = async () => (await shop.rows(theirs)).filter((row) => row.state === 'active').length
  await expect.poll(active, soon).toBe(12)
  let done = false
  const ours = shop.task(async () => {
    done = true
  })
  const organizationId = randomUUIDv7()
  await shop.database.commit({ organizationId }, async (_tx, { later }) => later(standardWork, { task: ours }))
  await expect.poll(() => done, soon).toBe(true)
  slow.open()
  await expect.poll(async () => (await shop.rows(theirs)).every((row) => row.state === 'completed'), soon).toBe(true)
})

// Back-offs and pg-boss' monitor take seconds: the tests wait for them side by side, each with tasks of its own.
describe.concurrent('a job that fails', () => {
  test('is tried again with back-off, then becomes a dead letter with its payload and error', async ({ expect }) => {
    const starts: number[] = []
    const task = shop.task(async ({ attempt, attempts }) => {
      starts.push(performance.now())
      throw new Error(`broken ${attempt} of ${attempts}`)
    })
    await shop.ask(standardWork, task, { key: 'some key', text: 'the payload' })
    await expect.poll(() => shop.dead(task), soon).toHaveLength(1)
    const [letter] = await shop.dead(task)
    expect(letter).toMatchObject({
      kind: 'job',
      handler: 'standard-work',
      key: 'some key',
      state: 'dead',
      errorClass: 'bug',
      error: 'Error: broken 3 of 3',
      attempts: 3,
      payload: { organizationId: world.organizationId, data: { task, text: 'the payload' } },
    })
    expect(starts).toHaveLength(3)
    const [first, second, third] = starts as [number, number, number]
    expect(second - first).toBeGreaterThan(950)
    expect(third - second).toBeGreaterThan(1_950)
  })

  test('with Permanent is dead at once', async ({ expect }) => {
    let runs = 0
    const task = shop.task(async () => {
      runs++
      throw new Permanent('never')
    })
    await shop.ask(standardWork, task)
    await expect
      .poll(() => shop.dead(task), soon)
      .toMatchObject([{ errorClass: 'permanent', error: 'Permanent: never', attempts: 1 }])
    expect(runs).toBe(1)
  })

  test('with RetryLater comes back after the time it asked for, not after the usual back-off', async ({ expect }) => {
    const starts: number[] = []
    const task = shop.task(async () => {
      starts.push(performance.now())
      if (starts.length === 1) throw new RetryLater('not yet', { afterMs: 300 })
    })
    await shop.ask(standardWork, task)
    await expect.poll(() => starts.length, soon).toBe(2)
    const waited = (starts[1] as number) - (starts[0] as number)
    expect(waited).toBeGreaterThan(299)
    expect(waited).toBeLessThan(900)
  })

  test('because the database was away is not given up, however often (D15)', async ({ expect }) => {
    let runs = 0
    const task = shop.task(async () => {
      if (++runs <= 2) throw Object.assign(new Error('the database system is shutting down'), { code: '57P03' })
    })
    await shop.ask(onlyWork, task)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'completed' }])
    expect(runs).toBe(3)
    expect(await shop.dead(task)).toEqual([])
  })

  test('whose data the job no longer understands is dead at once', async ({ expect }) => {
    const task = shop.task(async () => {})
    await shop.ask(standardWork, task, { startAfter: new Date(Date.now() + 3_600_000) })
    await world.sql(
      `update workshop_jobs.job_common set data = jsonb_set(data, '{data,text}', '5'), start_after = now() where data->'data'->>'task' = $1`,
      [task],
    )
    await expect.poll(() => shop.dead(task), soon).toMatchObject([{ errorClass: 'permanent', attempts: 1 }])
  })

  test('runs again, with the same data, when an operator redrives it', async ({ expect }) => {
    let mended = false
    const seen: (string | undefined)[] = []
    const task = shop.task(async ({ data, commit }) => {
      if (!mended) throw new Permanent('not mended')
      seen.push(data.text)
      await commit((tx) => markOn(tx, task, 'mended'))
    })
    await shop.ask(standardWork, task, { text: 'kept' })
    await expect.poll(() => shop.dead(task), soon).toHaveLength(1)
    const [letter] = await shop.dead(task)
    mended = true
    const path = `/v1/ops/workshop/dead-letters/${letter.id}`
    expect((await world.call('POST', `${path}/redrive`, { key: world.otherKey })).status).toBe(404)
    expect((await world.call('POST', `${path}/redrive`)).body).toMatchObject({ state: 'redriven' })
    await expect.poll(() => shop.marks(task), soon).toEqual(['mended'])
    expect(seen).toEqual(['kept'])
    expect((await world.call('POST', `${path}/redrive`)).status).toBe(409)
  })
})

describe.concurrent('a lease', () => {
  /** As pg-boss does when heartbeats stop. */
  const handOutAgain = (task: string) =>
    world.sql(
      `update workshop_jobs.job_common set state = 'retry', start_after = now(), heartbeat_on = null where data->'data'->>'task' = $1`,
      [task],
    )

  test('that was lost leaves nothing to write: the other run’s result stands (F40)', async ({ expect }) => {
    const paused = gate()
    const errors: unknown[] = []
    const task = shop.task(async ({ attempt, commit }) => {
      if (attempt === 1) await paused.opened
      try {
        await commit(async (tx, { emit }) => {
          await markOn(tx, task, `run ${attempt}`)
          emit(workDone, { task, text: `run ${attempt}` })
        })
      } catch (error) {
        errors.push(error)
        throw error
      }
    })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'active', retryCount: 0 }])
    await handOutAgain(task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['run 2'])
    paused.open()
    await expect.poll(() => errors, soon).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(LeaseLost)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'completed', retryCount: 1 }])
    expect(await shop.marks(task)).toEqual(['run 2'])
    expect((await world.events('workshop', 'work.done')).filter((event) => event.key === task)).toHaveLength(1)
    expect(await shop.dead(task)).toEqual([])
  })

  test('of a later run is kept alive after the earlier run ends in the same process', async ({ expect }) => {
    const gates = [gate(), gate()]
    const ended: number[] = []
    const task = shop.task(async ({ attempt }) => {
      await gates[attempt - 1]?.opened
      ended.push(attempt)
    })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'active', retryCount: 0 }])
    await handOutAgain(task)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'active', retryCount: 1 }])
    gates[0]?.open()
    await expect.poll(() => ended, soon).toEqual([1])
    await world.sql(
      `update workshop_jobs.job_common set heartbeat_on = now() - interval '7 s' where data->'data'->>'task' = $1`,
      [task],
    )
    await expect
      .poll(async () => Date.now() - ((await shop.rows(task))[0]?.heartbeatOn?.getTime() ?? 0), soon)
      .toBeLessThan(3_000)
    gates[1]?.open()
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'completed', retryCount: 1 }])
  })

  /** A row as a killed worker leaves it: active, with nobody behind it. */
  async function orphan(job: typeof standardWork, task: string, retryCount = 0): Promise<void> {
    await shop.ask(job, task, { key: task, startAfter: new Date(Date.now() + 3_600_000) })
    await world.sql(
      `update workshop_jobs.job_common set state = 'active', retry_count = $2, start_after = now() - interval '1 m', started_on = now() - interval '1 m',
         heartbeat_on = now() - interval '50 s' where data->'data'->>'task' = $1`,
      [task, retryCount],
    )
  }

  test('of a dead worker lapses, and the job is handed out again', async ({ expect }) => {
    const task = shop.task(({ attempt, commit }) => commit(async (tx) => void (await markOn(tx, task, `run ${attempt}`))))
    await orphan(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['run 2'])
  })

  test('that lapsed on the last try makes a dead letter, and its key goes on', async ({ expect }) => {
    const task = shop.task(({ data, commit }) => commit(async (tx) => void (await markOn(tx, task, data.text ?? 'the dead one'))))
    await orphan(strictWork, task, 2)
    await shop.ask(strictWork, task, { key: task, text: 'the next' })
    await expect
      .poll(() => shop.dead(task), soon)
      .toMatchObject([{ handler: 'strict-work', key: task, attempts: 3, errorClass: 'bug' }])
    await expect.poll(() => shop.marks(task), soon).toEqual(['the next'])
  })
})

describe.concurrent('runs with one key', () => {
  /** How many ran at once, at the most, and in what order they began. */
  function watch() {
    let now = 0
    const seen = { most: 0, order: [] as string[] }
    return {
      seen,
      async around(text: string, work: () => Promise<void>) {
        seen.order.push(text)
        seen.most = Math.max(seen.most, ++now)
        await work()
        now--
      },
    }
  }

  test('of a standard job go side by side', async ({ expect }) => {
    const { seen, around } = watch()
    const all = gate()
    const task = shop.task(({ data }) => around(data.text ?? '', () => all.opened))
    for (const text of ['1', '2', '3']) await shop.ask(standardWork, task, { key: task, text })
    await expect.poll(() => seen.most, soon).toBe(3)
    all.open()
  })

  test('of a singleton job go one at a time, while other keys go on', async ({ expect }) => {
    const { seen, around } = watch()
    const held = gate()
    const task = shop.task(({ data }) => around(data.text ?? '', () => held.opened))
    const other = shop.task(({ commit }) => commit(async (tx) => void (await markOn(tx, other, 'went on'))))
    for (const text of ['1', '2', '3']) await shop.ask(singletonWork, task, { key: task, text })
    await shop.ask(singletonWork, other, { key: other })
    await expect.poll(() => shop.marks(other), soon).toEqual(['went on'])
    held.open()
    await expect.poll(() => seen.order.length, soon).toBe(3)
    expect(seen.most).toBe(1)
  })

  test('of a stately job: one runs, one waits, and neither holds another key up however long it takes', async ({ expect }) => {
    const { seen, around } = watch()
    const held = gate()
    const task = shop.task(({ data }) => around(data.text ?? '', () => held.opened))
    const other = shop.task(({ commit }) => commit(async (tx) => void (await markOn(tx, other, 'went on'))))
    await shop.ask(statelyWork, task, { key: task, text: 'runs' })
    await expect.poll(() => seen.order, soon).toEqual(['runs'])
    for (const text of ['waits', 'merged', 'merged']) await shop.ask(statelyWork, task, { key: task, text })
    for (let i = 1; i <= 3; i++) {
      await shop.ask(statelyWork, other, { key: other })
      await expect.poll(() => shop.marks(other), soon).toHaveLength(i)
    }
    expect((await shop.rows(task)).map((row) => row.state).sort()).toEqual(['active', 'created'])
    held.open()
    await expect.poll(async () => (await shop.rows(task)).map((row) => row.state), soon).toEqual(['completed', 'completed'])
    expect(seen).toEqual({ most: 1, order: ['runs', 'waits'] })
  })

  test('of a stately job: a request while a failed run waits for its next try is no second failure', async ({ expect }) => {
    const order: string[] = []
    const held = gate()
    const task = shop.task(async ({ data, attempt }) => {
      order.push(`${data.text} ${attempt}`)
      if (attempt > 1) return
      await held.opened
      throw new Error('once')
    })
    await shop.ask(statelyWork, task, { key: task, text: 'first' })
    await expect.poll(() => order, soon).toHaveLength(1)
    await shop.ask(statelyWork, task, { key: task, text: 'second' })
    held.open()
    await expect.poll(async () => (await shop.rows(task)).map((row) => row.state), soon).toEqual(['completed', 'completed'])
    expect(order).toEqual(['first 1', 'first 2', 'second 1', 'second 2'])
    expect(await shop.dead(task)).toEqual([])
  })

  test('of a strictly ordered job wait for a failing one, hold up no other key, and go on when it is given up', async ({
    expect,
  }) => {
    const order: string[] = []
    const task = shop.task(async ({ data, attempt }) => {
      order.push(`${data.text} ${attempt}`)
      if (data.text === 'shaky' && attempt === 1) throw new Error('once')
      if (data.text === 'lost') throw new Permanent('never')
    })
    const other = shop.task(async () => void order.push('other key'))
    for (const text of ['shaky', 'lost', 'last']) await shop.ask(strictWork, task, { key: task, text })
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'retry' }, { state: 'created' }, { state: 'created' }])
    await shop.ask(strictWork, other, { key: other })
    await expect.poll(() => order, soon).toEqual(['shaky 1', 'other key', 'shaky 2', 'lost 1', 'last 1'])
    await expect.poll(() => shop.dead(task), soon).toHaveLength(1)
  })
})

describe('a request for a stately job', () => {
  test('made while a run is about to start is not lost: the run waits for its commit', async ({ expect }) => {
    const held = gate()
    let runs = 0
    const seen: number[] = []
    const task = shop.task(async ({ commit }) => {
      if (++runs === 1) await held.opened
      await commit(async (tx) => {
        const marks = await tx.selectFrom('marks').select('text').where('task', '=', task).execute()
        seen.push(marks.length)
      })
    })
    await shop.ask(statelyWork, task, { key: task })
    await expect.poll(() => runs, soon).toBe(1)
    await shop.ask(statelyWork, task, { key: task })
    const insert = jobInserter('workshop', workshop.jobs as never)
    await shop.database.transaction(world.organizationId, async (session) => {
      await markOn(session.tx as never, task, 'late')
      insert(session, [
        {
          queue: 'stately-work',
          organizationId: world.organizationId,
          data: { task },
          options: { key: task },
          correlationId: randomUUIDv7(),
          causationId: undefined,
          traceparent: undefined,
        },
      ])
      // The waiting run is free to start now; it would not see the mark of this open transaction.
      held.open()
      await expect.poll(async () => (await shop.rows(task)).map((row) => row.state), soon).toEqual(['completed', 'created'])
    })
    await expect.poll(() => seen, soon).toEqual([0, 1])
  })

  test('made while a run is finishing is never lost, over 300 rounds', async ({ expect }) => {
    let seen = 0
    let news = gate()
    const task = shop.task(async ({ commit }) => {
      const count = await commit(async (tx) => {
        const marks = await tx.selectFrom('marks').select('text').where('task', '=', task).execute()
        return marks.length
      })
      seen = Math.max(seen, count)
      news.open()
    })
    const ask = (text: string) =>
      shop.database.commit({ organizationId: world.organizationId }, async (tx, { later }) => {
        await markOn(tx as never, task, text)
        later(statelyWork, { task }, { key: task })
      })
    for (let round = 1; round <= 300; round++) {
      news = gate()
      await ask('before')
      // Half of the rounds meet the run in its commit, half after it, before it is settled.
      if (round % 2 === 0) await news.opened
      await ask('meanwhile')
      if (seen < round * 2) await expect.poll(() => seen, { timeout: 5_000, interval: 1 }).toBe(round * 2)
    }
  })
})

describe('a commit that throws', () => {
  test('leaves no row, no event and no job behind, wherever it was asked for', async ({ expect }) => {
    const followUp = shop.task(async () => {})
    const failing = shop.database.commit({ organizationId: world.organizationId }, async (tx, { emit, later }) => {
      await markOn(tx as never, followUp, 'outside')
      emit(workDone, { task: followUp, text: 'outside' })
      later(standardWork, { task: followUp })
      throw new Error('after all of it')
    })
    await expect(failing).rejects.toThrow('after all of it')
    const task = shop.task(({ commit }) =>
      commit(async (tx, { emit, later }) => {
        await markOn(tx, followUp, 'inside')
        emit(workDone, { task: followUp, text: 'inside' })
        later(standardWork, { task: followUp })
        throw new Permanent('after all of it')
      }),
    )
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.dead(task), soon).toHaveLength(1)
    expect(await shop.marks(followUp)).toEqual([])
    expect(await shop.rows(followUp)).toEqual([])
    expect((await world.events('workshop', 'work.done')).filter((event) => event.key === followUp)).toEqual([])
  })
})

describe('a job asked for later', () => {
  test('starts within 200 ms of its time, though the poll is seconds away', async ({ expect }) => {
    const slow = await startWorld({
      services: [workshop],
      postgresUrl: inject('postgresUrl'),
      natsUrl: inject('natsUrl'),
      environment: { POLL_MS: '30000' },
    })
    try {
      const { task, ask } = workshopOf(slow)
      const late: number[] = []
      for (const delayMs of [150, 400, 700]) {
        const due = Date.now() + delayMs
        const name = task(async () => void late.push(Date.now() - due))
        await ask(standardWork, name, { startAfter: new Date(due) })
      }
      await expect.poll(() => late, soon).toHaveLength(3)
      for (const lateMs of late) {
        expect(lateMs).toBeGreaterThanOrEqual(0)
        expect(lateMs).toBeLessThan(200)
      }
    } finally {
      await slow.stop()
    }
  })

  test('in 60 days neither runs now nor keeps a timer that no clock can hold', async ({ expect }) => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const task = shop.task(async () => {})
    await shop.ask(standardWork, task, { startAfter: new Date(Date.now() + 60 * 24 * 3_600_000) })
    const now = shop.task(({ commit }) => commit(async (tx) => void (await markOn(tx, now, 'ran'))))
    await shop.ask(standardWork, now)
    await expect.poll(() => shop.marks(now), soon).toEqual(['ran'])
    process.off('warning', onWarning)
    expect(warnings.map((warning) => warning.name)).toEqual([])
    expect(await shop.rows(task)).toMatchObject([{ state: 'created' }])
  })
})
