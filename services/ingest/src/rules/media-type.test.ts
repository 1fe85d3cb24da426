import { expect, test } from 'vitest'
import { mediaTypeProblem } from './media-type.ts'

test.each([
  'application/json',
  'Application/JSON',
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
  'application/json; charset="utf-8"',
  'application/json;',
  'application/json ; ',
  'application/json;charset=utf8',
  'application/json; charset=utf-8 ; ',
])('%s is taken', (type) => {
  expect(mediaTypeProblem(type, undefined)).toBeNull()
  expect(mediaTypeProblem(type, 'identity')).toBeNull()
})

test.each([
  undefined,
  '',
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json\ttext/html',
  'application/json, text/html',
  'application/json; charset=utf-16',
  'application/json; charset=utf-8; boundary=x',
  'application/jsonp',
  'application/json/x',
])('%j is refused', (type) => {
  expect(mediaTypeProblem(type, undefined)).toMatch(/application\/json/)
})

test.each(['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'x'])('a body compressed with %s is refused', (encoding) => {
  expect(mediaTypeProblem('application/json', encoding)).toMatch(/compressed/)
})

test('blanks without end cost no more than reading them', () => {
  const blanks = ' '.repeat(200_000)
  for (const type of [`application/json${blanks}x`, `application/json;${blanks}x`, `application/json; charset=utf-8${blanks}x`])
    expect(mediaTypeProblem(type, undefined)).toMatch(/application\/json/)
})
