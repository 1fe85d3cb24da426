import { expect, test } from 'vitest'
import { changedFields } from './changed.ts'

test('only what differs is told, before and after', () => {
  expect(changedFields({ name: 'A', tags: ['x'], note: undefined }, { name: 'B', tags: ['x'], note: null })).toEqual({
    before: { name: 'A', note: null },
    after: { name: 'B', note: null },
  })
  expect(changedFields({ at: new Date(0) }, { at: new Date(1) })).not.toBeNull()
})

test('nothing is told of a change that changes nothing', () => {
  expect(changedFields({ name: 'A', tags: ['x'] }, { name: 'A', tags: ['x'] })).toBeNull()
  expect(changedFields({ name: 'A' }, {})).toBeNull()
})
