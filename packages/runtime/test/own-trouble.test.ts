import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { AppError, type Running } from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { type CounterApp, counter, counterBumped } from './shop.ts'

let world: World
let replica: Running
beforeEach(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  replica = await world.startReplica()
})
afterEach(async () => {
  await world?.stop()
})
const bump = (name: string, note: string) => world.state('counter', counterBumped, { counter: name, note })
const notesOf = async (name: string) =>
  (await world.sql<{ note: string }>(`select note from counter.notes where counter = $1 order by place`, [name])).map(
    (row) => row.note,
  )
const letters = () => world.sql('select state from counter.dead_letters')
const onBoth = (faults: CounterApp['faults']) => {
  for (const { services } of [world.running, replica]) {
    const app = services[0]?.app as CounterApp
    app.faults = faults
  }
}
const coded = (code: string) => Object.assign(new Error('canceling statement'), { code })
const codes = ['55P03', '57014', '40001', '40P01']

describe('trouble of our own', () => {
  test('that an event meets counts as no try of it: nothing is put aside, its key keeps its order, and others go on', async () => {
    const met = new Map<string, number>()
    const seen: string[] = []
    onBoth({
      handler(note) {
        const [code = '', step] = note.split(' ')
        if (step === '1' && codes.includes(code)) {
          const times = (met.get(code) ?? 0) + 1
          met.set(code, times)
          // The first of them ends a group, which is then run one by one.
          if (times < 6) throw coded(code)
        }
        seen.push(note)
      },
    })
    for (const step of [1, 2]) for (const code of codes) await bump(`key of ${code}`, `${code} ${step}`)
    for (let i = 0; i < 40; i++) await bump(`other ${i}`, `other ${i}`)
    for (const code of codes) {
      await expect.poll(() => notesOf(`key of ${code}`), { timeout: 20_000 }).toEqual([`${code} 1`, `${code} 2`])
      expect(met.get(code)).toBeGreaterThanOrEqual(6)
    }
    await expect.poll(async () => (await world.sql(`select 1 from counter.notes`)).length).toBe(48)
    expect(await letters()).toEqual([])
    expect(seen.findIndex((note) => note.startsWith('other'))).toBeLessThan(seen.indexOf('55P03 1'))
  })

  test('as a lock that somebody holds: events wait where they are, and are handled when it is gone', async () => {
    const holder = new pg.Client({ connectionString: world.adminUrl })
    await holder.connect()
    try {
      await holder.query('begin; lock table counter.notes in share mode')
      await bump('k', 'waits')
      const tries = new Set<string>()
      await expect
        .poll(
          async () => {
            const waiting = await world.sql<{ since: Date }>(
              `select a.query_start as since from pg_locks l join pg_stat_activity a using (pid)
               where not l.granted and l.relation = 'counter.notes'::regclass`,
            )
            for (const { since } of waiting) tries.add(since.toISOString())
            return tries.size
          },
          { timeout: 30_000, interval: 50 },
        )
        .toBeGreaterThanOrEqual(3)
      expect(await letters()).toEqual([])
    } finally {
      await holder.end()
    }
    await expect.poll(() => notesOf('k'), { timeout: 20_000 }).toEqual(['waits'])
    expect(await letters()).toEqual([])
  })

  test.each([
    ...codes.map((code) => [code, () => coded(code)] as const),
    ['unavailable', () => new AppError('unavailable', 'Away.')] as const,
  ])('that a job meets (%s) costs it no try, and the next is never further away than a moment', async (_code, failure) => {
    let runs = 0
    onBoth({
      job() {
        // More often than the job may fail.
        if (++runs < 5) throw failure()
      },
    })
    await bump('k', 'job')
    const furthest: number[] = []
    await expect
      .poll(
        async () => {
          const waiting = await world.sql<{ seconds: number }>(
            `select extract(epoch from start_after - now())::float8 as seconds from counter_jobs.job_common where name = 'note-later' and state = 'retry'`,
          )
          furthest.push(...waiting.map((row) => row.seconds))
          return (await notesOf('k')).length
        },
        { timeout: 30_000, interval: 20 },
      )
      .toBe(2)
    expect(Math.max(...furthest)).toBeLessThan(1.5)
    expect(runs).toBe(5)
    expect(await letters()).toEqual([])
  })

  test('as a worker that died: its run is taken up when that is noticed, not after a pause that grew', async () => {
    await world.sql(
      `insert into counter_jobs.job_common (name, data, state, start_after, started_on, retry_limit, retry_count, retry_delay, retry_backoff, policy, singleton_key, output, keep_until, expire_seconds, deletion_seconds, heartbeat_seconds)
       select 'note-later', $1, 'retry', now() + interval '1 hour', now(), 5, 3, 2, true, 'singleton', 'k', '{"value":{"message":"job heartbeat timeout"}}', now() + interval '1 day', 100, 3600, 10`,
      [
        JSON.stringify({
          organizationId: world.organizationId,
          correlationId: randomUUID(),
          data: { counter: 'k', note: 'its worker died' },
        }),
      ],
    )
    await expect.poll(() => notesOf('k'), { timeout: 15_000 }).toEqual(['its worker died'])
  })
})
