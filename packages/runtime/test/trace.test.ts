import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { currentTraceparent } from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { type CounterApp, counter } from './shop.ts'

let world: World
let app: CounterApp
beforeAll(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  app = world.running.services[0]?.app as CounterApp
})
afterAll(async () => {
  await world?.stop()
})
const traceOf = (traceparent: string | null | undefined) =>
  /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(traceparent ?? '')?.[1]

/** Posts a note that causes an event, its handler, a job and the job's event; answers the trace that each of them was in. */
async function tracesOf(name: string, headers: Record<string, string> = {}) {
  const inside = { handler: undefined as string | undefined, job: undefined as string | undefined }
  app.faults = {
    handler: () => void (inside.handler = traceOf(currentTraceparent())),
    job: () => void (inside.job = traceOf(currentTraceparent())),
  }
  const answer = await world.call('POST', '/v1/notes', { body: { counter: name, note: 'job traced' }, headers })
  expect(answer.status).toBe(201)
  await world.settle()
  const events = (await world.events('counter')).filter((event) => event.key === name)
  return { answer: traceOf(answer.headers.get('traceparent')), ...inside, events }
}

describe('one trace', () => {
  test('goes from a route through outbox, broker, handler and job to the job’s own event', async () => {
    const { answer, handler, job, events } = await tracesOf('one')
    expect(answer).toMatch(/^[0-9a-f]{32}$/)
    expect({ handler, job }).toEqual({ handler: answer, job: answer })
    expect(events.map((event) => [event.type, traceOf(event.traceparent)])).toEqual([
      ['counter.bumped', answer],
      ['counter.noted', answer],
    ])
  })

  test('is the caller’s own when the call names one', async () => {
    const theirs = '4bf92f3577b34da6a3ce929d0e0e4736'
    const { answer, job, events } = await tracesOf('theirs', { traceparent: `00-${theirs}-00f067aa0ba902b7-01` })
    expect({ answer, job }).toEqual({ answer: theirs, job: theirs })
    expect(events.map((event) => traceOf(event.traceparent))).toEqual([theirs, theirs])
  })

  test.each(['garbage', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, "00-'; drop table notes; --", '00-xyz-abc-01\u00e9'])(
    'is a new one when the call names %j',
    async (traceparent) => {
      const { answer, job } = await tracesOf(`new ${traceparent.length}`, { traceparent })
      expect(answer).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
      expect(job).toBe(answer)
    },
  )

  test('and one correlation: what a call causes can be found by it', async () => {
    const { events } = await tracesOf('correlated')
    const [first] = events
    expect(new Set(events.map((event) => event.correlationId)).size).toBe(1)
    const found = await world.call('POST', '/v1/ops/counter/trace', {
      body: { correlationId: first?.correlationId, eventIds: events.map((event) => event.id) },
    })
    expect(found.body).toMatchObject({
      events: [{ type: 'counter.bumped' }, { type: 'counter.noted' }],
      handled: [{ handler: 'count-bump' }],
      jobs: [{ name: 'note-later', state: 'completed', attempt: 1, causationId: first?.id }],
      deadLetters: [],
    })
    // Whoever comes by the ids of another organization is told nothing of them, not even that they were handled.
    const foreign = await world.call('POST', '/v1/ops/counter/trace', {
      key: world.otherKey,
      body: { correlationId: first?.correlationId, eventIds: events.map((event) => event.id) },
    })
    expect(foreign.body).toMatchObject({ events: [], handled: [], jobs: [], effects: [], deadLetters: [] })
  })
})
