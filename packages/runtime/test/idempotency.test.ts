import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { AppError, createKey } from '../src/index.ts'
import type { Running } from '../src/start.ts'
import { type Answer, startWorld, type World } from '../src/testing/index.ts'
import { counter, type CounterApp } from './shop.ts'

// Attack A65: one call, sent again and again, by one caller and by others.
let world: World
let replica: Running
let colleague: string
const apps = () => [world.running, replica].map((running) => running.services[0]?.app as CounterApp)

beforeAll(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  const { key, stored } = createKey(world.organizationId, ['messages:write'])
  colleague = key
  world.environment['PARLEY_API_KEYS'] = JSON.stringify([
    ...(JSON.parse(world.environment['PARLEY_API_KEYS'] ?? '[]') as unknown[]),
    stored,
  ])
  await world.restart()
  replica = await world.startReplica()
})
afterAll(async () => {
  await world?.stop()
})
afterEach(() => {
  for (const app of apps()) app.faults = {}
})

interface Tally {
  key?: string
  as?: string
  note?: string
  path?: string
  body?: Record<string, unknown>
}
/** A counter of its own for each test, so that what was done can be counted. */
const caseOf = () => {
  const name = randomUUID()
  const tally = ({ key = name, as, note = 'x', path = '/v1/tallies', body = {} }: Tally = {}): Promise<Answer> =>
    world.call('POST', path, {
      ...(as === undefined ? {} : { key: as }),
      headers: { 'idempotency-key': key },
      body: { counter: name, note, ...body },
    })
  const done = async () =>
    (await world.events('counter', 'counter.bumped')).filter((event) => (event.data as { counter: string }).counter === name)
  return { name, tally, done }
}
const onlyRow = `where created_at = (select max(created_at) from counter.idempotency_keys)`
const rowsNow = () => world.sql<{ state: string }>(`select * from counter.idempotency_keys`)

describe('a call with an Idempotency-Key', () => {
  test('is carried out once and answered alike, also by another replica', async () => {
    const { name, tally, done } = caseOf()
    const first = await tally()
    expect(first).toMatchObject({ status: 201, body: { secret: expect.stringMatching(/^shown-once-/) } })
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    const again = await tally()
    expect(again).toMatchObject({ status: 201, body: first.body })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const elsewhere = await fetch(`${replica.url}/v1/tallies`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.key}`, 'content-type': 'application/json', 'idempotency-key': name },
      body: JSON.stringify({ counter: name, note: 'x' }),
    })
    expect(await elsewhere.json()).toEqual(first.body)
    expect(await done()).toHaveLength(1)
  })

  test('is answered with 422 when its body or its query is another one', async () => {
    const { tally, done } = caseOf()
    await tally()
    const refused = {
      status: 422,
      body: { error: { code: 'unprocessable', message: expect.stringContaining('Idempotency-Key') } },
    }
    expect(await tally({ note: 'other' })).toMatchObject(refused)
    expect(await tally({ path: '/v1/tallies?loud=yes' })).toMatchObject(refused)
    expect(await done()).toHaveLength(1)
  })

  test('is carried out once when twenty come at once, and all get the same answer', async () => {
    const { tally, done } = caseOf()
    for (const app of apps()) app.faults.tally = () => new Promise((resolve) => setTimeout(resolve, 150))
    const answers = await Promise.all(Array.from({ length: 20 }, () => tally()))
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect(answers[0]?.status).toBe(201)
    expect(await done()).toHaveLength(1)
  })

  test('is told after five seconds that the same one is still being carried out', async () => {
    const { tally, done } = caseOf()
    let finish = () => {}
    const held = new Promise<void>((resolve) => {
      finish = resolve
    })
    for (const app of apps()) app.faults.tally = () => held
    const first = tally()
    await expect.poll(rowsNow).toContainEqual(expect.objectContaining({ state: 'started' }))
    const began = performance.now()
    const second = await tally()
    expect(performance.now() - began).toBeGreaterThan(4_900)
    expect(second).toMatchObject({ status: 409, body: { error: { code: 'conflict', details: { reason: 'in_progress' } } } })
    expect(second.headers.get('retry-after')).toBe('2')
    finish()
    expect((await first).status).toBe(201)
    expect(await done()).toHaveLength(1)
  })

  test.each(['with a blank', 'ü', 'x'.repeat(256), ''])('is refused when the key is %j', async (key) => {
    const { tally, done } = caseOf()
    // Node writes Latin-1 only; the bytes of one that is not ASCII come all the same.
    expect(await tally({ key })).toMatchObject({ status: 400, body: { error: { code: 'invalid' } } })
    expect(await done()).toHaveLength(0)
  })

  test('of another organization, another caller or another path is another call', async () => {
    const { tally, done } = caseOf()
    const answers = [
      await tally(),
      await tally({ as: world.otherKey }),
      await tally({ as: colleague }),
      // Paths that differ in their last letter only.
      await tally({ path: `/functions/v1/tally/${'x'.repeat(240)}1` }),
      await tally({ path: `/functions/v1/tally/${'x'.repeat(240)}2` }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201])
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(5)
    expect(await done()).toHaveLength(5)
  })

  test('may be tried again when it was refused or failed, and is remembered from its success on', async () => {
    const { tally, done } = caseOf()
    expect(await tally({ body: { unknown: 1 } })).toMatchObject({ status: 400 })
    for (const app of apps()) {
      app.faults.tally = () => {
        throw new AppError('conflict', 'Not now.')
      }
    }
    expect(await tally()).toMatchObject({ status: 409, body: { error: { message: 'Not now.' } } })
    for (const app of apps()) {
      app.faults.tally = () => {
        throw new Error('bug')
      }
    }
    expect(await tally()).toMatchObject({ status: 500 })
    for (const app of apps()) app.faults = {}
    const first = await tally({ note: 'as it should be' })
    expect(first.status).toBe(201)
    expect((await tally({ note: 'as it should be' })).body).toEqual(first.body)
    expect(await done()).toHaveLength(1)
  })

  test('is anew after 24 hours, and its row goes with the upkeep', async () => {
    const { tally, done } = caseOf()
    const first = await tally()
    await world.sql(`update counter.idempotency_keys set created_at = now() - interval '23 hours 59 minutes' ${onlyRow}`)
    expect((await tally()).body).toEqual(first.body)
    await world.sql(`update counter.idempotency_keys set created_at = now() - interval '1441 minutes'`)
    const anew = await tally()
    expect(anew.status).toBe(201)
    expect(anew.body).not.toEqual(first.body)
    expect(await done()).toHaveLength(2)
    const late = await world.sql(`select 1 from counter.idempotency_keys where created_at < now() - interval '24 hours'`)
    expect(late.length).toBeGreaterThan(0)
    await world.restart()
    await expect.poll(async () => (await rowsNow()).length).toBe(1)
    expect((await tally()).body).toEqual(anew.body)
  })
})

describe('a call whose process died', () => {
  test('after its commit is never carried out again: 409 says that its answer is lost', async () => {
    const { tally, done } = caseOf()
    let states: string[] = []
    for (const app of apps()) {
      app.faults.tally = async (when) => {
        if (when === 'after')
          states = (await world.sql<{ state: string }>(`select state from counter.idempotency_keys ${onlyRow}`)).map(
            (row) => row.state,
          )
      }
    }
    await tally()
    // What the commit itself wrote; then what a crash right after it leaves, half a minute later.
    expect(states).toEqual(['carried out'])
    await world.sql(
      `update counter.idempotency_keys set state = 'carried out', status = null, sealed_answer = null, created_at = now() - interval '31 seconds' ${onlyRow}`,
    )
    for (let i = 0; i < 2; i++) {
      expect(await tally()).toMatchObject({
        status: 409,
        body: { error: { code: 'conflict', details: { reason: 'answer_lost' } } },
      })
    }
    expect(await done()).toHaveLength(1)
  })

  test.each([
    ['a bug', () => new Error('bug'), 500],
    ['an outage', () => new AppError('unavailable', 'Not now.'), 503],
  ] as const)(
    'or that failed by %s, after its commit in another organization, is never carried out again either',
    async (_what, error, status) => {
      const { tally, done } = caseOf()
      const body = { organizationId: world.otherOrganizationId }
      for (const app of apps()) {
        app.faults.tally = (when) => {
          if (when === 'after') throw error()
        }
      }
      expect(await tally({ body })).toMatchObject({ status })
      for (const app of apps()) app.faults = {}
      await world.sql(`update counter.idempotency_keys set created_at = now() - interval '31 seconds' ${onlyRow}`)
      expect(await tally({ body })).toMatchObject({ status: 409, body: { error: { details: { reason: 'answer_lost' } } } })
      const events = await done()
      expect(events.map((event) => event.organizationId)).toEqual([world.otherOrganizationId])
    },
  )

  test('before its commit is carried out by whoever asks next, and can no longer commit if it lives after all', async () => {
    const { tally, done } = caseOf()
    let finish = () => {}
    let held: Promise<void> | undefined = new Promise<void>((resolve) => {
      finish = resolve
    })
    for (const app of apps()) app.faults.tally = () => held
    const slow = tally()
    await expect.poll(rowsNow).toContainEqual(expect.objectContaining({ state: 'started' }))
    await world.sql(`update counter.idempotency_keys set created_at = now() - interval '31 seconds' ${onlyRow}`)
    held = undefined
    const taken = await tally()
    expect(taken.status).toBe(201)
    finish()
    expect(await slow).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } })
    expect((await tally()).body).toEqual(taken.body)
    expect(await done()).toHaveLength(1)
  })
})

describe('what is kept', () => {
  test('shows neither the key nor the answer nor the request, and is the organization’s own', async () => {
    const { name, tally } = caseOf()
    const { body } = await tally({ note: 'a confidential note' })
    const rows = JSON.stringify(await rowsNow())
    for (const text of [name, (body as { secret: string }).secret, 'confidential', 'shown-once']) expect(rows).not.toContain(text)
    const seen = (organizationId: string) =>
      apps()[0]?.database.transaction(organizationId, (session) => session.query('select 1 from idempotency_keys'))
    expect((await seen(world.organizationId))?.length).toBeGreaterThan(0)
    expect(await seen(randomUUID())).toEqual([])
  })

  test('is nothing without the header, for other methods and for public calls', async () => {
    const { name, tally, done } = caseOf()
    const before = (await rowsNow()).length
    for (let i = 0; i < 2; i++) await world.call('POST', '/v1/tallies', { body: { counter: name, note: 'x' } })
    expect(await done()).toHaveLength(2)
    const headers = { 'idempotency-key': name }
    expect((await world.call('GET', `/v1/notes?counter=${name}`, { headers })).status).toBe(200)
    const rings = [
      await world.call('POST', '/v1/bell', { key: null, headers }),
      await world.call('POST', '/v1/bell', { key: null, headers }),
    ]
    expect(rings.map(({ status }) => status)).toEqual([200, 200])
    expect(rings[0]?.body).not.toEqual(rings[1]?.body)
    expect(await rowsNow()).toHaveLength(before)
    await tally()
    expect(await rowsNow()).toHaveLength(before + 1)
  })
})
