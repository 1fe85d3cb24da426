import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BodyError, parseJson } from './index.ts'

const bytes = (text: string) => Buffer.from(text, 'utf8')
const value = (text: string) => parseJson(bytes(text)).value

function codeOf(input: string | Uint8Array, limits: Parameters<typeof parseJson>[1] = {}): string {
  try {
    parseJson(typeof input === 'string' ? bytes(input) : input, limits)
  } catch (error) {
    if (error instanceof BodyError) return error.code
    throw error
  }
  return 'accepted'
}

describe('what is safe', () => {
  test('parses to exactly what JSON.parse gives', () => {
    const safe = fc
      .json({ noUnicodeString: false, maxDepth: 8 })
      .filter((text) => !/__proto__|prototype|\\u0000|\\ud[89a-f]|(?<![.\d])\d{16,}(?![.\de])/i.test(text))
    fc.assert(
      fc.property(safe, (text) => {
        expect(parseJson(bytes(text))).toEqual({ value: JSON.parse(text), repaired: false })
      }),
    )
  })

  test('whitespace, escapes and every kind of literal survive', () => {
    const text = ' {"a" : [ 1, -2.5e3, true,false , null, "\\"\\\\\\/\\b\\n\\u00e9\\ud83d\\ude00é😀" ], "b":{}} '
    expect(value(text)).toEqual(JSON.parse(text))
  })
})

describe('numbers', () => {
  test('integers beyond 2^53 keep every digit, as text', () => {
    expect(
      value('{"id":820982911946154508,"neg":-9007199254740993,"ok":9007199254740991,"list":[12345678901234567890]}'),
    ).toEqual({
      id: '820982911946154508',
      neg: '-9007199254740993',
      ok: Number.MAX_SAFE_INTEGER,
      list: ['12345678901234567890'],
    })
  })

  test('any integer of up to 60 digits is either a safe number or its own digits', () => {
    const integer = fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n })
    fc.assert(
      fc.property(fc.array(integer), fc.string(), (integers, text) => {
        const parsed = value(`{"${'é'}":${JSON.stringify(text.replaceAll('\0', ''))},"n":[${integers.join(',')}]}`) as {
          n: unknown[]
        }
        expect(parsed.n.map(String)).toEqual(integers.map(String))
      }),
    )
  })

  test('digits inside strings and long fractions stay what they are', () => {
    expect(value('{"a":"820982911946154508","b":0.37042470101733270001}')).toEqual({
      a: '820982911946154508',
      b: 0.3704247010173327,
    })
  })

  test('what no double can hold is refused', () => {
    expect(codeOf('[1e400]')).toBe('number_out_of_range')
    expect(codeOf('[-1E+999]')).toBe('number_out_of_range')
    expect(codeOf(`[${'9'.repeat(200_000)}]`)).toBe('number_out_of_range')
  })
})

describe('bytes that the database cannot hold', () => {
  test('NUL and lone surrogates become U+FFFD and are reported, pairs stay', () => {
    expect(parseJson(bytes('["a\\u0000b","\\ud800","\\udc00x","\\ud83d\\ude00","\\ud800\\u0041","\\\\u0000"]'))).toEqual({
      value: ['a\ufffdb', '\ufffd', '\ufffdx', '😀', '\ufffdA', '\\u0000'],
      repaired: true,
    })
  })

  test('every string that comes out is well formed and free of NUL', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
        const escaped = units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
        const text = value(`"${escaped}"`) as string
        expect(text.isWellFormed() && !text.includes('\0')).toBe(true)
        expect(text.length).toBe(units.length)
      }),
    )
  })

  test('invalid UTF-8 and a byte order mark are refused', () => {
    expect(codeOf(Buffer.from([0x22, 0xff, 0x22]))).toBe('invalid_utf8')
    expect(codeOf(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toBe('invalid_utf8')
    expect(codeOf(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes('{}')]))).toBe('invalid_utf8')
  })
})

describe('keys', () => {
  test('keys that become a prototype are refused, however they are written and nested', () => {
    expect(codeOf('{"__proto__":{"admin":true}}')).toBe('forbidden_key')
    expect(codeOf('{"a":[{"b":{"__proto__" : 1}}]}')).toBe('forbidden_key')
    expect(codeOf('{"\\u005f_proto__":{}}')).toBe('forbidden_key')
    expect(codeOf('{"constructor":{"prototype":{}}}')).toBe('forbidden_key')
    expect(codeOf('{"constructor":{"x":1,"prototype":{}}}')).toBe('forbidden_key')
    expect(codeOf('{"c\\u006fnstructor":{"prototype":{}}}')).toBe('forbidden_key')
  })

  test('the same words as values, or apart, are ordinary', () => {
    expect(codeOf('{"name":"__proto__","constructor":"x","prototype":{},"list":["constructor",{"prototype":1}]}')).toBe(
      'accepted',
    )
    expect(codeOf('{"constructor":[{"prototype":1}]}')).toBe('accepted')
  })

  test('a second key wins by default and is refused on demand, also when spelt with escapes', () => {
    expect(value('{"id":"a","id":"b"}')).toEqual({ id: 'b' })
    expect(codeOf('{"id":"a","\\u0069d":"b"}', { duplicateKeys: 'refuse' })).toBe('duplicate_key')
    expect(codeOf('[{"id":{"id":1}},{"id":2}]', { duplicateKeys: 'refuse' })).toBe('accepted')
  })
})

describe('ceilings', () => {
  test('the last allowed and the first refused of each', () => {
    expect(codeOf('['.repeat(64) + ']'.repeat(64))).toBe('accepted')
    expect(codeOf('['.repeat(65) + ']'.repeat(65))).toBe('too_deep')
    const keys = (n: number) => `{${Array.from({ length: n }, (_, i) => `"k${i}":1`).join(',')}}`
    expect(codeOf(keys(10_000))).toBe('accepted')
    expect(codeOf(keys(10_001))).toBe('too_many_keys')
    expect(codeOf(`"${'x'.repeat(256 * 1024)}"`)).toBe('accepted')
    expect(codeOf(`"${'x'.repeat(256 * 1024 + 1)}"`)).toBe('string_too_long')
    expect(codeOf(`{"${'x'.repeat(256 * 1024 + 1)}":1}`)).toBe('string_too_long')
    expect(codeOf(`[${'1,'.repeat(1_000_000)}1]`)).toBe('too_many_items')
  })

  test('a hostile body of 2 MiB costs no more than an honest one: it is refused before there is a tree', () => {
    // The best of several: what the machine does beside is not what is bounded here.
    const best = (work: () => void) =>
      Math.min(
        ...Array.from({ length: 5 }, () => {
          const started = performance.now()
          work()
          return performance.now() - started
        }),
      )
    const honest = `[${'{"id":"wamid.1","text":"Bonjour","at":1790769600},'.repeat(40_000)}{}]`
    const reading = best(() => JSON.parse(honest))
    const hostile = [
      '['.repeat(2 << 20),
      '{"a":'.repeat(400_000),
      `{${'"a":1,'.repeat(340_000)}"a":1}`,
      `"${'\\u0000'.repeat(340_000)}"`,
      `[${'0,'.repeat(1_000_000)}0]`,
      '"'.repeat(2 << 20),
      '\\'.repeat(2 << 20),
      `[${'9'.repeat(2 << 20)}]`,
    ].map(bytes)
    for (const body of hostile) {
      expect(codeOf(body)).not.toBe('accepted')
      expect(best(() => codeOf(body)) / reading).toBeLessThan(5)
    }
  })

  test('limits are arguments', () => {
    expect(codeOf('[[1]]', { maxDepth: 1 })).toBe('too_deep')
    expect(codeOf('{"a":1,"b":2}', { maxKeys: 1 })).toBe('too_many_keys')
    expect(codeOf('"abc"', { maxStringBytes: 2 })).toBe('string_too_long')
  })
})

describe('what is not JSON', () => {
  test.each([
    '',
    ' ',
    '{',
    '{"a":1,}',
    "{'a':1}",
    '{"a":01}',
    '[1 2]',
    '"\\u00"',
    '"\\u12',
    'NaN',
    '{"a":1}}',
    '\\',
    '{"\\x":1}',
    '"\\u\x10\x10\x10\x10"',
    '-',
  ])('refuses %j', (text) => expect(codeOf(text)).toBe('invalid_json'))

  test('the error never quotes the body', () => {
    expect(() => value('{"phone":"33612345678" oops}')).toThrow(/^(?!.*336).*not valid JSON/)
  })

  test('any bytes at all are either parsed or refused with a BodyError', () => {
    const readable = (input: string | Uint8Array) => {
      expect(codeOf(input)).toBeTypeOf('string')
    }
    fc.assert(fc.property(fc.uint8Array(), readable))
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', 'u', '0', 'd', 'D', '8', '1', 'e', '-', '.', ' '),
        }),
        readable,
      ),
      { numRuns: 1_000 },
    )
  })
})

test('what only looks like a long integer is refused, not taken for text', () => {
  for (const text of ['[00012345678901234567]', '[-012345678901234567]', '[12345678-901234567890]', '[--12345678901234567]'])
    expect(() => parseJson(Buffer.from(text))).toThrow(BodyError)
})
