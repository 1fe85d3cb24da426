import { afterEach, expect, test, vi } from 'vitest'
import { openLog } from '../log.ts'
import { askKeysUsed, gatherKeyUses } from './uses.ts'

type Use = ReturnType<typeof askKeysUsed.question.parse>['uses'][number]

afterEach(() => vi.useRealTimers())

function setup() {
  const asked: Use[][] = []
  let fails = 0
  const ask = (async (_topic: string, question: unknown) => {
    asked.push(askKeysUsed.question.parse(question).uses)
    if (fails-- > 0) throw new Error('no answer')
    return null
  }) as unknown as Parameters<typeof gatherKeyUses>[0]['ask']
  const uses = gatherKeyUses({ ask }, openLog({ name: 'test', level: 'silent' }))
  return { uses, asked, failNext: (times = 1) => (fails = times) }
}
const organizationId = '018f4a3e-0000-7000-8000-000000000001'

test('what was told without an answer is told again under the same id and count, and what came meanwhile under another', async () => {
  const { uses, asked, failNext } = setup()
  uses.note(organizationId, 'a')
  uses.note(organizationId, 'a')
  failNext()
  await uses.report()
  uses.note(organizationId, 'a')
  await uses.stop()
  const [first, again, rest] = asked.map(([use]) => use)
  expect(asked).toHaveLength(3)
  expect(first).toMatchObject({ keyId: 'a', requests: 2 })
  expect(again).toEqual(first)
  expect(rest).toMatchObject({ keyId: 'a', requests: 1 })
  expect(rest?.reportId).not.toBe(first?.reportId)
})

test('of more keys than fit in a report none is lost when one of them is not answered', async () => {
  const { uses, asked, failNext } = setup()
  for (let i = 0; i < 1_100; i++) uses.note(organizationId, `key-${i}`)
  failNext()
  await uses.report()
  await uses.stop()
  expect(asked.map((list) => list.length)).toEqual([500, 500, 500, 100])
  expect(new Set(asked.flat().map(({ keyId }) => keyId)).size).toBe(1_100)
  expect(asked[1]).toEqual(asked[0])
})

test('two reports at once tell each use once', async () => {
  const { uses, asked } = setup()
  uses.note(organizationId, 'a')
  await Promise.all([uses.report(), uses.report(), uses.stop()])
  expect(asked.flat()).toHaveLength(1)
})
