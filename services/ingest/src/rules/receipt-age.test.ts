import { expect, test } from 'vitest'
import { firstIdAt } from './receipt-age.ts'

test('the first id of a moment has its milliseconds in front, and sorts between those before and those after', () => {
  // The example of RFC 9562, appendix A.6.
  const at = new Date('2022-02-22T19:22:22.000Z')
  expect(firstIdAt(at)).toBe('017f22e2-79b0-7000-8000-000000000000')
  expect('017f22e2-79b0-7cc3-98c4-dc0c0c07398f' > firstIdAt(at)).toBe(true)
  expect('017f22e2-79af-7fff-bfff-ffffffffffff' < firstIdAt(at)).toBe(true)
})
