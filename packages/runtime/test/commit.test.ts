import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../src/testing/index.ts'
import { type CounterApp, counter, counterBumped } from './shop.ts'

let world: World
let app: CounterApp
beforeAll(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  app = world.running.services[0]?.app as CounterApp
})
beforeEach(() => {
  app.faults = {}
  app.runs = []
})
afterAll(async () => {
  await world?.stop()
})
const notesOf = (name: string) =>
  world.sql<{ note: string; by: string }>(`select note, by from counter.notes where counter = $1 order by place`, [name])

describe('a commit', () => {
  test('publishes what it states, and its handler runs once', async () => {
    await world.state('counter', counterBumped, { counter: 'a', note: 'one' })
    await world.settle()
    expect((await notesOf('a')).map((row) => row.note)).toEqual(['one'])
  })

  test('keeps the order of one key over many events', async () => {
    const notes = Array.from({ length: 300 }, (_, i) => `n${i}`)
    for (const note of notes) await world.state('counter', counterBumped, { counter: 'ordered', note })
    await world.settle()
    expect((await notesOf('ordered')).map((row) => row.note)).toEqual(notes)
  })

  test('carries the correlation and the cause on', async () => {
    await world.state('counter', counterBumped, { counter: 'chain', note: 'emit' }, { correlationId: 'chain-1' })
    await world.settle()
    const [bumped] = (await world.events('counter', 'counter.bumped')).filter((event) => event.key === 'chain')
    const [noted] = (await world.events('counter', 'counter.noted')).filter((event) => event.key === 'chain')
    expect(noted).toMatchObject({ correlationId: 'chain-1', causationId: bumped?.id })
  })
})

describe('jobs', () => {
  test('run once per request, one at a time per key', async () => {
    for (let i = 0; i < 10; i++) await world.state('counter', counterBumped, { counter: 'jobs', note: `job ${i}` })
    await world.settle()
    const notes = (await notesOf('jobs')).filter((row) => row.by.startsWith('job'))
    expect(notes).toHaveLength(10)
    const runs = [...app.runs].sort((a, b) => a.started - b.started)
    for (let i = 1; i < runs.length; i++) expect(runs[i]?.started).toBeGreaterThanOrEqual(runs[i - 1]?.ended ?? 0)
  })

  test('a stately job merges requests and still sees the last one', async () => {
    for (let i = 0; i < 50; i++) await world.state('counter', counterBumped, { counter: 'merged', note: `merge ${i}` })
    await world.settle()
    const merges = (await notesOf('merged')).filter((row) => row.by === 'merge')
    expect(merges.at(-1)?.note).toBe('50')
    expect(merges.length).toBeLessThan(50)
  })
})

describe('an event that a handler cannot take', () => {
  test('waits with its key while other keys go on, and is tried again in order', async () => {
    let broken = true
    app.faults.handler = (note) => {
      if (note === 'poison' && broken) throw new Error('bug')
    }
    await world.state('counter', counterBumped, { counter: 'sick', note: 'poison' })
    await world.state('counter', counterBumped, { counter: 'sick', note: 'after' })
    await world.state('counter', counterBumped, { counter: 'well', note: 'fine' })
    await expect.poll(async () => (await notesOf('well')).length).toBe(1)
    expect(await notesOf('sick')).toEqual([])
    broken = false
    await world.settle()
    expect((await notesOf('sick')).map((row) => row.note)).toEqual(['poison', 'after'])
  })

  test('becomes a dead letter when it is permanent, can be listed, shown and tried again', async () => {
    await world.state('counter', counterBumped, { counter: 'dead', note: 'permanent' })
    await world.settle()
    const list = await world.call('GET', '/v1/ops/counter/dead-letters')
    expect(list.status).toBe(200)
    const letter = list.body.items.find((item: { key: string }) => item.key === 'dead')
    expect(letter).toMatchObject({ state: 'dead', errorClass: 'permanent', handler: 'count-bump' })
    expect((await world.call('GET', `/v1/ops/counter/dead-letters/${letter.id}`)).body.payload.data.note).toBe('permanent')
    expect((await world.call('GET', `/v1/ops/counter/dead-letters/${letter.id}`, { key: world.otherKey })).status).toBe(404)
    const redriven = await world.call('POST', `/v1/ops/counter/dead-letters/${letter.id}/redrive`)
    expect(redriven.status).toBe(200)
    await world.settle()
    expect((await world.call('GET', `/v1/ops/counter/dead-letters/${letter.id}`)).body.state).toBe('dead')
  })
})
