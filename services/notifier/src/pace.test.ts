import { expect, test } from 'vitest'
import { createPacer, type PacedChannel } from './pace.ts'
import { reserveSlots } from './rules/rate-slots.ts'

const channel: PacedChannel = { organizationId: 'o', accountId: 'a', perSecond: 20 }

/** A database for several processes, on a clock that the test moves. */
function shared() {
  const state = { nowMs: 1_000, nextFreeMs: 0, asked: 0 }
  const process = () =>
    createPacer(
      async ({ perSecond }, count) => {
        state.asked++
        const got = reserveSlots({ perSecond, maxWaitMs: 10_000 }, state.nextFreeMs, state.nowMs, count)
        if ('nextFreeMs' in got) state.nextFreeMs = got.nextFreeMs
        return got
      },
      () => state.nowMs,
    )
  return { state, process }
}

test('many sends at once share a few reservations and come one interval apart', async () => {
  const { state, process } = shared()
  const pacer = process()
  const waits = await Promise.all(Array.from({ length: 12 }, () => pacer.take(channel)))
  expect(waits.map((wait) => 'waitMs' in wait && wait.waitMs)).toEqual(Array.from({ length: 12 }, (_, index) => index * 50))
  expect(state.asked).toBe(3)
})

test('two processes never use one slot twice', async () => {
  const { process } = shared()
  const [one, two] = [process(), process()]
  const waits = await Promise.all([one, two, one, two, one, two].map((pacer) => pacer.take(channel)))
  const moments = waits.map((wait) => ('waitMs' in wait ? wait.waitMs : -1))
  expect(new Set(moments).size).toBe(6)
})

test('slots that lay unused are lost, so that idling saves up no burst', async () => {
  const { state, process } = shared()
  const pacer = process()
  await pacer.take(channel)
  state.nowMs += 60_000
  const waits = await Promise.all([pacer.take(channel), pacer.take(channel)])
  expect(waits).toEqual([{ waitMs: 0 }, { waitMs: 50 }])
})

test('a channel that is booked out says so', async () => {
  const { state, process } = shared()
  state.nextFreeMs = state.nowMs + 60_000
  expect(await process().take(channel)).toEqual({ tooFarMs: 60_000 })
})

test('a reservation that failed fails those who waited for it, and the next one asks again', async () => {
  let fail = true
  const pacer = createPacer(async () => {
    if (fail) throw new Error('database away')
    return { startsInMs: [0], nextFreeMs: 50 }
  })
  await expect(Promise.all([pacer.take(channel), pacer.take(channel)])).rejects.toThrow('database away')
  fail = false
  expect(await pacer.take(channel)).toEqual({ waitMs: 0 })
})

test('a slot is given without asking only when it is there and due, and to nobody else then', async () => {
  const { state, process } = shared()
  const pacer = process()
  expect(pacer.takeDue(channel)).toBe(false)
  expect(await pacer.take(channel)).toEqual({ waitMs: 0 })
  const asked = state.asked
  expect(pacer.takeDue(channel)).toBe(false)
  state.nowMs += 50
  expect([pacer.takeDue(channel), pacer.takeDue(channel)]).toEqual([true, false])
  expect(state.asked).toBe(asked)
  expect(await pacer.take(channel)).toEqual({ waitMs: 50 })
  state.nowMs += 60_000
  expect(pacer.takeDue(channel)).toBe(false)
})
