import type { Membership } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Database } from '../db.ts'
import { AppError } from '../errors.ts'
import { openDirectory } from './directory.ts'

const organizationId = randomUUIDv7()
const known: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 2 }

/** A directory whose tables know one member, who was last heard of so long ago. */
function open({ heardMs, answer, heardOnLook = heardMs }: Settings) {
  let ago = heardMs
  let asked = 0
  const database = { read: async () => known, transaction: async () => undefined } as unknown as Database<never>
  const directory = openDirectory({
    database,
    hearing: {
      ago: () => ago,
      look: async () => {
        ago = heardOnLook
      },
    },
    bus: {
      async ask(_topic, _question, reply) {
        asked++
        if (answer === 'nobody') throw new AppError('unavailable', 'A part of the system is away for a moment. Try again.')
        return reply.parse(answer)
      },
    },
  })
  return { member: () => directory.member(organizationId, known.userId), asked: () => asked }
}
interface Settings {
  heardMs: number
  answer: Membership | null | 'nobody'
  heardOnLook?: number
}

describe('what a service knows of somebody', () => {
  test('is taken without a question while their events are heard', async () => {
    const { member, asked } = open({ heardMs: 500, answer: null })
    expect(await member()).toEqual(known)
    expect(asked()).toBe(0)
  })

  test('is asked about anew once their events are not heard, and the answer holds', async () => {
    const suspended = { ...known, status: 'suspended' as const, revision: 3 }
    expect(await open({ heardMs: 4_000, answer: suspended }).member()).toEqual(suspended)
    expect(await open({ heardMs: 4_000, answer: null }).member()).toBeUndefined()
    // One that was on its way while an event came does not undo it.
    expect(await open({ heardMs: 4_000, answer: { ...known, revision: 1 } }).member()).toEqual(known)
  })

  test('holds while accounts is away and their events were heard lately, or turn out to be', async () => {
    expect(await open({ heardMs: 4_000, answer: 'nobody' }).member()).toEqual(known)
    const { member } = open({ heardMs: Number.POSITIVE_INFINITY, heardOnLook: 10, answer: 'nobody' })
    expect(await member()).toEqual(known)
  })

  test('is worth nothing when neither accounts nor the stream can say that it still holds', async () => {
    for (const heardMs of [20_000, Number.POSITIVE_INFINITY])
      await expect(open({ heardMs, answer: 'nobody' }).member()).rejects.toMatchObject({ code: 'unavailable' })
  })
})
