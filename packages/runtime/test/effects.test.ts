import { afterAll, beforeAll, describe, inject, test } from 'vitest'
import {
  type EffectOutcome,
  type EffectResult,
  type EffectSpec,
  forgetIntent,
  performEffect,
  prepareAndPerform,
  RetryLater,
  type WhenAbsent,
} from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import {
  gate,
  markOn,
  onlyWork,
  patientWork,
  standardWork,
  type Work,
  workshop,
  workshopOf,
  type WorkshopTables,
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
const soon = { timeout: 25_000, interval: 50 }

/** Something outside that does what it is asked, answers as the test says, and can be asked what it did. */
function outside() {
  const ledger: { at: Date }[] = []
  const steps: string[] = []
  const answers: ((done: () => EffectOutcome) => EffectOutcome | Promise<EffectOutcome>)[] = []
  const lookUps: EffectOutcome[] = []
  const done = (): EffectOutcome => {
    const at = new Date()
    ledger.push({ at })
    return { outcome: 'done', reference: `ref-${ledger.length}`, at }
  }
  return {
    ledger,
    steps,
    /** What the next calls do instead of just answering. */
    answers,
    /** What the next look-ups answer instead of the ledger. */
    lookUps,
    calls: () => steps.filter((step) => step === 'call').length,
    async call(): Promise<EffectOutcome> {
      steps.push('call')
      return (await answers.shift()?.(done)) ?? done()
    },
    async lookUp(since: Date): Promise<EffectOutcome | { outcome: 'absent' }> {
      steps.push('look up')
      const planned = lookUps.shift()
      if (planned) return planned
      const found = ledger.findIndex((entry) => entry.at >= since)
      return found < 0 ? { outcome: 'absent' } : { outcome: 'done', reference: `ref-${found + 1}`, at: ledger[found]?.at as Date }
    },
  }
}

/** A task that performs one effect on `system` and notes each result it settles. */
function effectOn(
  system: ReturnType<typeof outside>,
  more: {
    before?: EffectSpec<WorkshopTables>['before']
    key?: string
    whenAbsent?: WhenAbsent
    /** Where the process stands still after each commit, before it goes on. */
    standStill?: () => Promise<void>
  } = {},
) {
  const returned: (EffectResult | 'settled before')[] = []
  const work: Work = async (context) => {
    returned.push(
      await performEffect(more.standStill ? pausing(context, more.standStill) : context, {
        key: more.key ?? task,
        kind: 'test.effect',
        target: 'outside',
        request: { text: 'hello' },
        whenAbsent: more.whenAbsent ?? { callAgainAfterMs: 0 },
        call: system.call,
        lookUp: system.lookUp,
        ...(more.before === undefined ? {} : { before: more.before }),
        settle: async (tx, _tools, result) => {
          await markOn(tx, task, result.state === 'done' ? `done ${result.reference}` : result.state)
        },
      }),
    )
  }
  const task = shop.task(work)
  return { task, returned }
}
/** The same run in a process that stands still between a commit and what comes after it. */
function pausing(context: Parameters<Work>[0], standStill: () => Promise<void>): Parameters<Work>[0] {
  const commit: typeof context.commit = async (work) => {
    const result = await context.commit(work)
    await standStill()
    return result
  }
  return { ...context, commit }
}
const effectOf = async (key: string) =>
  (
    await world.sql<{ state: string; reference: string | null; found: boolean }>(
      `select state, reference, found_by_lookup as found from workshop.effects where effect_key = $1`,
      [key],
    )
  )[0]

describe.concurrent('an effect', () => {
  test('that is done is settled once with its reference, and is not asked for again', async ({ expect }) => {
    const system = outside()
    const { task, returned } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(await effectOf(task)).toEqual({ state: 'confirmed', reference: 'ref-1', found: false })
    await shop.ask(standardWork, task)
    await expect.poll(() => returned, soon).toMatchObject([{ state: 'done', foundByLookup: false }, 'settled before'])
    expect(system.steps).toEqual(['call'])
    expect(await shop.marks(task)).toEqual(['done ref-1'])
  })

  test('that is decided on with its intent may turn out not to be needed: the run goes on, and another effect may follow', async ({
    expect,
  }) => {
    const system = outside()
    const outcomes: unknown[] = []
    const task = shop.task(async (context) => {
      outcomes.push(await prepareAndPerform(context, async () => undefined))
      const spec: EffectSpec<WorkshopTables> = {
        key: task,
        kind: 'test.effect',
        target: 'outside',
        request: {},
        whenAbsent: { callAgainAfterMs: 0 },
        call: system.call,
        lookUp: system.lookUp,
        settle: async (tx, _tools, result) => void (await markOn(tx, task, result.state)),
      }
      outcomes.push(await prepareAndPerform(context, async () => ({ context: context.onBehalfOf('another-chain'), spec })))
    })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done'])
    await expect.poll(() => outcomes, soon).toMatchObject(['nothing to do', { state: 'done' }])
    expect(system.steps).toEqual(['call'])
    const chain = `select correlation_id as chain from workshop.effects where effect_key = $1`
    expect(await world.sql(chain, [task])).toEqual([{ chain: 'another-chain' }])
  })

  test('that is refused is settled as refused and not tried again', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'refused', message: 'no such number' }))
    const { task } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.rows(task), soon).toMatchObject([{ state: 'completed', retryCount: 0 }])
    expect(await shop.marks(task)).toEqual(['refused'])
    expect(await effectOf(task)).toMatchObject({ state: 'refused' })
    expect(system.steps).toEqual(['call'])
  })

  test('that was not taken is called again after the time asked for, without a look-up', async ({ expect }) => {
    const system = outside()
    let first = 0
    let second = 0
    system.answers.push(
      () => {
        first = performance.now()
        return { outcome: 'retry', afterMs: 400, message: 'too many' }
      },
      (done) => {
        second = performance.now()
        return done()
      },
    )
    const { task } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'call'])
    expect(second - first).toBeGreaterThan(399)
  })

  test('that was not taken on the last try is settled as refused', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'retry', afterMs: null, message: 'too many' }))
    const { task } = effectOn(system)
    await shop.ask(onlyWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['refused'])
    expect(await shop.dead(task)).toEqual([])
  })

  test('whose outcome is unknown but that happened is found by look-up, never called twice', async ({ expect }) => {
    const system = outside()
    system.answers.push((done) => {
      done()
      return { outcome: 'unknown', message: 'no answer in time' }
    })
    const { task } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'look up'])
    expect(await effectOf(task)).toEqual({ state: 'confirmed', reference: 'ref-1', found: true })
  })

  test('that is absent at two look-ups five seconds apart is called exactly once more', async ({ expect }) => {
    const system = outside()
    const times: number[] = []
    system.answers.push(() => ({ outcome: 'unknown', message: 'no answer in time' }))
    const { task } = effectOn(system)
    const lookUp = system.lookUp
    system.lookUp = (since) => {
      times.push(performance.now())
      return lookUp(since)
    }
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'look up', 'look up', 'call'])
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(4_990)
  })

  test('that shows up only at the second look-up is not called again', async ({ expect }) => {
    const system = outside()
    system.answers.push((done) => {
      done()
      return { outcome: 'unknown', message: 'no answer in time' }
    })
    system.lookUps.push({ outcome: 'absent' } as unknown as EffectOutcome)
    const { task } = effectOn(system)
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'look up', 'look up'])
  })

  test('that cannot be looked up now waits, and is never called meanwhile', async ({ expect }) => {
    const system = outside()
    system.answers.push((done) => {
      done()
      return { outcome: 'unknown', message: 'no answer in time' }
    })
    system.lookUps.push({ outcome: 'retry', afterMs: 100, message: 'away' }, { outcome: 'unknown', message: 'no answer' })
    const { task } = effectOn(system)
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'look up', 'look up', 'look up'])
  })

  test('whose process dies right after the call is looked up first', async ({ expect }) => {
    const system = outside()
    system.answers.push((done) => {
      done()
      throw new Error('the process is gone')
    })
    const { task } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.steps).toEqual(['call', 'look up'])
    expect(system.ledger).toHaveLength(1)
  })

  test('whose outcome is still unknown on the last try is left to a person, and not called again', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'unknown', message: 'no answer in time' }))
    const { task, returned } = effectOn(system)
    await shop.ask(onlyWork, task)
    await expect.poll(() => returned, soon).toEqual([{ state: 'unknown', message: 'no answer in time' }])
    expect(await effectOf(task)).toMatchObject({ state: 'manual' })
    expect(await shop.marks(task)).toEqual(['unknown'])
    await shop.ask(onlyWork, task)
    await expect.poll(() => returned, soon).toHaveLength(2)
    expect(returned[1]).toBe('settled before')
    expect(system.steps).toEqual(['call'])
  })

  test('is called again when a person says so', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'refused', message: 'switched off' }))
    const { task } = effectOn(system)
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['refused'])
    await shop.database.commit({ organizationId: world.organizationId }, (tx) => forgetIntent(tx, world.organizationId, task))
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['refused', 'done ref-1'])
  })

  test('that the outside system lists only seconds later is not called again meanwhile', async ({ expect }) => {
    const system = outside()
    system.answers.push((done) => {
      done()
      return { outcome: 'unknown', message: 'no answer in time' }
    })
    const lookUp = system.lookUp
    system.lookUp = async (since) => {
      const found = await lookUp(since)
      const isListed = (system.ledger[0]?.at.getTime() ?? Infinity) < Date.now() - 8_000
      return found.outcome === 'done' && !isListed ? { outcome: 'absent' } : found
    }
    const { task } = effectOn(system, { whenAbsent: { callAgainAfterMs: 9_000 } })
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(system.calls()).toBe(1)
  })

  test('that must never happen twice is looked for until its time is up, and its key is spent', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'unknown', message: 'no answer in time' }))
    const { task, returned } = effectOn(system, { whenAbsent: { giveUpAfterMs: 4_000 } })
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['unknown'])
    await shop.ask(patientWork, task)
    await expect.poll(() => returned.at(-1), soon).toBe('settled before')
    expect(system.calls()).toBe(1)
    expect(system.steps.filter((step) => step === 'look up').length).toBeGreaterThan(1)
    expect(await effectOf(task)).toMatchObject({ state: 'manual' })
  })

  test('is not called by a process that stood still since it was allowed to: somebody else may have called', {
    timeout: 60_000,
  }, async ({ expect }) => {
    const system = outside()
    const held = gate()
    let pauses = 0
    const key = 'one effect of two processes'
    const paused = effectOn(system, { key, standStill: () => (++pauses === 1 ? held.opened : Promise.resolve()) })
    const other = effectOn(system, { key })
    await shop.ask(patientWork, paused.task)
    await expect.poll(() => pauses, soon).toBe(1)
    await shop.ask(patientWork, other.task)
    await expect.poll(() => shop.marks(other.task), { timeout: 50_000, interval: 100 }).toEqual(['done ref-1'])
    held.open()
    await expect.poll(() => paused.returned, soon).toEqual(['settled before'])
    expect(system.calls()).toBe(1)
  })

  test('asked for by two jobs at once is one call, however long it takes and however little the outside system shows', async ({
    expect,
  }) => {
    const system = outside()
    const held = gate()
    system.answers.push(async (done) => {
      await held.opened
      return done()
    })
    const key = 'shared effect'
    const one = effectOn(system, { key })
    const two = effectOn(system, { key })
    await shop.ask(patientWork, one.task)
    await shop.ask(patientWork, two.task)
    // The second job asks, and asks again when no call should be under way any more; both times nothing is shown.
    await expect.poll(() => system.steps, soon).toEqual(['call', 'look up', 'look up'])
    held.open()
    await expect.poll(() => [...one.returned, ...two.returned], soon).toHaveLength(2)
    expect([...one.returned, ...two.returned]).toContainEqual('settled before')
    expect(system.calls()).toBe(1)
    expect([...(await shop.marks(one.task)), ...(await shop.marks(two.task))]).toEqual(['done ref-1'])
  })
})

describe.concurrent('the last check before an effect', () => {
  test('may stop it: nothing is called, and that is settled', async ({ expect }) => {
    const system = outside()
    const { task } = effectOn(system, { before: async () => ({ stop: 'The customer took it back.' }) })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['stopped'])
    expect(await effectOf(task)).toMatchObject({ state: 'stopped' })
    expect(system.steps).toEqual([])
  })

  test('may let it wait: nothing is called, nothing is noted, and it is asked again after that time', async ({ expect }) => {
    const system = outside()
    const asked: number[] = []
    const { task } = effectOn(system, {
      before: async () => {
        asked.push(performance.now())
        return asked.length === 1 ? { waitMs: 300, message: 'It is night there.' } : 'go'
      },
    })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect((asked[1] as number) - (asked[0] as number)).toBeGreaterThan(299)
    expect(system.steps).toEqual(['call'])
  })

  test('is asked again before a second call: what was said meanwhile counts', async ({ expect }) => {
    const system = outside()
    system.answers.push(() => ({ outcome: 'unknown', message: 'no answer in time' }))
    let asked = 0
    const { task } = effectOn(system, { before: async () => (++asked === 1 ? 'go' : { stop: 'The customer said stop.' }) })
    await shop.ask(patientWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['stopped'])
    expect(system.steps).toEqual(['call', 'look up', 'look up'])
    expect(await effectOf(task)).toMatchObject({ state: 'stopped' })
  })

  test('is not asked when a call may have been made: only the outside system can tell', async ({ expect }) => {
    const system = outside()
    let asked = 0
    system.answers.push((done) => {
      done()
      throw new RetryLater('the answer was lost', { afterMs: 10 })
    })
    const { task } = effectOn(system, { before: async () => (++asked === 1 ? 'go' : { stop: 'too late to stop' }) })
    await shop.ask(standardWork, task)
    await expect.poll(() => shop.marks(task), soon).toEqual(['done ref-1'])
    expect(asked).toBe(1)
  })
})
