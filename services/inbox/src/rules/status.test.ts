import { MessageStatus } from '@parley/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type StatusReport, statusTransition } from './status.ts'

const report = fc.record({ status: fc.constantFrom(...MessageStatus.options), uncertain: fc.boolean() })
const settle = (reports: readonly StatusReport[], from: StatusReport = { status: 'queued' }) =>
  reports.reduce((current, next) => (statusTransition(current, next) === 'apply' ? next : current), from)

describe('the status of a message', () => {
  test('moves forward and never back', () => {
    expect(statusTransition({ status: 'sent' }, { status: 'delivered' })).toBe('apply')
    expect(statusTransition({ status: 'delivered' }, { status: 'sent' })).toBe('record')
    expect(statusTransition({ status: 'read' }, { status: 'delivered' })).toBe('record')
    expect(statusTransition({ status: 'delivered' }, { status: 'delivered' })).toBe('record')
  })

  test('ends with deleted from anywhere, and with failed unless it was delivered: what was read cannot have failed', () => {
    for (const status of ['queued', 'pending', 'sent'] as const) {
      expect(statusTransition({ status }, { status: 'failed' })).toBe('apply')
      expect(statusTransition({ status: 'failed' }, { status })).toBe('record')
    }
    for (const status of ['delivered', 'read', 'played'] as const) {
      expect(statusTransition({ status }, { status: 'failed' })).toBe('record')
      expect(statusTransition({ status: 'failed' }, { status })).toBe('apply')
    }
    for (const status of MessageStatus.options.filter((each) => each !== 'deleted'))
      expect(statusTransition({ status }, { status: 'deleted' })).toBe('apply')
  })

  test('a failure with unknown outcome is proved wrong by any sign of life', () => {
    const unknown = { status: 'failed', uncertain: true } as const
    expect(statusTransition({ status: 'queued' }, unknown)).toBe('apply')
    expect(statusTransition(unknown, { status: 'sent' })).toBe('apply')
    expect(statusTransition({ status: 'delivered' }, unknown)).toBe('record')
  })

  test('ends the same in whatever order the reports come, and however often', () => {
    const shuffled = fc
      .array(report, { maxLength: 12 })
      .chain((reports) =>
        fc.tuple(
          fc.constant(reports),
          fc.shuffledSubarray([...reports, ...reports], { minLength: reports.length * 2, maxLength: reports.length * 2 }),
        ),
      )
    fc.assert(
      fc.property(shuffled, ([inOrder, mixed]) => {
        const rankless = ({ status, uncertain }: StatusReport) =>
          status === 'failed' ? `${status} ${uncertain ?? false}` : status
        const a = settle(inOrder)
        const b = settle(mixed)
        // Received and queued are the same rank: the first of the two stays.
        const start = new Set(['received', 'queued'])
        if (start.has(a.status)) expect(start.has(b.status)).toBe(true)
        else expect(rankless(b)).toBe(rankless(a))
      }),
    )
  })
})
