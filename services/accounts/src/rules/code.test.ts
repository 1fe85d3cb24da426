import { expect, test } from 'vitest'
import { tidyCode } from './code.ts'

test.each([
  '123456',
  ' 123456 ',
  '123 456',
  '123\u00a0456',
  '123-456',
  '123\u2013456',
  '12 34 56',
  '123.456',
  '\u200e123456\u200f',
  '１２３４５６',
  '١٢٣٤٥٦',
  '۱۲۳ ۴۵۶',
  '१२३४५६',
])('%j is the code 123456', (text) => expect(tidyCode(text)).toBe('123456'))

test.each(['12345a', '②23456', 'abcd1234efgh5678'])('%j stays what it is', (text) => expect(tidyCode(text)).toBe(text))
