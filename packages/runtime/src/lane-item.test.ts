import { defineEvent, laneOf, subjectOf, toEnvelope } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { readItem } from './lane-item.ts'
import type { HeldLane } from './leases.ts'

const letter = (type: string) =>
  defineEvent({ type, version: 1, key: 'letterId', summary: 'For this test.', data: z.object({ letterId: z.string() }) })
const posted = letter('letter.posted')
const opened = letter('letter.opened')
const organizationId = randomUUIDv7()
const lane = { lane: laneOf(organizationId, 'a') } as HeldLane

const read = (type: { type: string; version: number }, subject: string) => {
  const event = {
    ...type,
    id: randomUUIDv7(),
    source: 'post',
    time: new Date().toISOString(),
    key: 'a',
    organizationId,
    correlationId: 'c',
    causationId: undefined,
    traceparent: undefined,
    data: { letterId: 'a' },
  }
  return readItem(lane, { sequence: 1, subject, data: new TextEncoder().encode(JSON.stringify(toEnvelope(event))) })
}

test('an event is read under the subject that its type, organization and key have', () => {
  const { event, problem } = read(posted, subjectOf('evt', 'letter.posted', organizationId, 'a'))
  expect(problem).toBeUndefined()
  expect(event).toMatchObject({ type: 'letter.posted', key: 'a' })
})

test.each([
  ['another type', subjectOf('evt', 'letter.posted', organizationId, 'a')],
  ['another organization', `evt.${lane.lane}.letter.opened.${randomUUIDv7()}.a`],
  ['another key', `evt.${lane.lane}.letter.opened.${organizationId}.b`],
])('under the subject of %s it is refused: the broker let its sender speak there, not here (A30)', (_what, subject) => {
  const { event, problem } = read(opened, subject)
  expect(event).toBeUndefined()
  expect(problem?.message).toContain('subject that is not its own')
})
