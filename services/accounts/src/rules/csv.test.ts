import { expect, test } from 'vitest'
import { csvCell, csvLine } from './csv.ts'

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1'])('a spreadsheet does not calculate %j', (text) => {
  expect(csvCell(text)).toBe(`"'${text}"`)
})

test('an ordinary text is quoted, its quotes doubled, its line ends kept', () => {
  expect(csvLine(['a "b", c', 'x\r\ny', 7, -7, null, '', 'é=1'])).toBe('"a ""b"", c","x\r\ny",7,-7,,"","é=1"\r\n')
})
