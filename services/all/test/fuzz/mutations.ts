import type { Random } from '../chaos/random.ts'

/** Where a value stands in a body. */
export type Place = readonly (string | number)[]

/** A number as digits: what JSON can say and JavaScript cannot hold. */
const digits = (text: string) => `\uE000${text}\uE000`

/** A body as JSON, the numbers of `digits` among it. */
export function write(body: unknown): string {
  return (JSON.stringify(body) ?? '').replaceAll(/"\uE000([^\uE000]*)\uE000"/g, '$1')
}

const unicode: Readonly<Record<string, string>> = {
  'a NUL': 'a\u0000b',
  'a lone high surrogate': 'a\ud800b',
  'a lone low surrogate': 'a\udc00b',
  'a right-to-left override': '\u202eabc\u202c',
  '1,000 CJK characters': '漢'.repeat(1_000),
  '22,000 CJK characters': '漢'.repeat(22_000),
  '32,768 quotation marks': '"'.repeat(32_768),
  emoji: '👩‍👩‍👧‍👦🏳️‍🌈'.repeat(40),
  'combining marks': `Z${'\u0301\u0323'.repeat(600)}`,
  'only invisible characters': '\u200b\u2060\ufeff\u00ad',
  'control characters': '\u0001\u001b[31m\r\n\t\u007f\u0085\u2028',
  'wildcards and separators': '*.>. ..\\/%00%2e%2e/../ {}',
  'the name of a prototype': '__proto__',
  'a path of percents': '%00%zz%c3%28',
}

/** What is put in the place of a value, by a name for the report. */
export const hostile: Readonly<Record<string, unknown>> = {
  null: null,
  'an empty text': '',
  'a blank': ' ',
  'an object': {},
  'an object in objects': { a: { b: { c: [null] } } },
  'a list': [],
  'a list of lists': [[[]], [null]],
  'a list of 3,000': Array.from({ length: 3_000 }, (_, index) => ({ id: `i${index}` })),
  'a truth': true,
  zero: 0,
  'minus one': -1,
  'a fraction': 1.5,
  'a negative zero': digits('-0'),
  '2^53': digits('9007199254740993'),
  '10^400': digits(`1${'0'.repeat(400)}`),
  '1e400': digits('1e400'),
  '1e-400': digits('1e-400'),
  'an integer of 200 digits': digits('7'.repeat(200)),
  'digits as text': '7'.repeat(200),
  'a text of 300 KiB': 'x'.repeat(300 * 1024),
  'a text of 300 characters': 'y'.repeat(300),
  'a day that is none': '2026-02-31T25:61:61Z',
  'a far year': '+275760-09-13T00:00:00.000Z',
  ...unicode,
}

/** Longer than an event may be, in what is small enough for a body. */
const heavy = ['22,000 CJK characters', '32,768 quotation marks', 'a text of 300 KiB', 'a list of 3,000']
export const anyHeavy = (random: Random) => random.pick(heavy)

const missing = 'missing'
const names = [missing, ...Object.keys(hostile)]

/** Every place in a body, lists and objects included, the body itself left out. */
export function placesOf(body: unknown, place: Place = []): Place[] {
  if (typeof body !== 'object' || body === null) return place.length === 0 ? [] : [place]
  const inside = Object.entries(body).flatMap(([key, value]) =>
    placesOf(value, [...place, Array.isArray(body) ? Number(key) : key]),
  )
  return place.length === 0 ? inside : [place, ...inside]
}

/** The body with one value replaced. */
export function changed(body: unknown, place: Place, name: string): unknown {
  const copy: unknown = structuredClone(body)
  const last = place.at(-1)
  if (last === undefined) return hostile[name]
  const holder = place.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], copy) as Record<string, unknown>
  if (name !== missing) holder[last] = hostile[name]
  else if (Array.isArray(holder)) holder.splice(Number(last), 1)
  else delete holder[last]
  return copy
}

export const anyMutation = (random: Random) => random.pick(names)

/** The body with a value of our choice in this place; what is on the way to it and is not there comes to be. */
export function replaced(body: unknown, place: readonly string[], value: unknown): unknown {
  const [first, ...rest] = place
  if (first === undefined) return value
  const held = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  return { ...held, [first]: replaced(held[first], rest, value) }
}

/** What can stand in an address or a header: texts only, a lone surrogate as its bytes would come. */
const texts = Object.entries(hostile).flatMap(([name, value]): [string, string][] =>
  // Node's own limit for a request line and its headers is 16 KiB.
  typeof value === 'string' && value.length <= 3_000 ? [[name, value.replaceAll('\uE000', '')]] : [],
)

export function anyText(random: Random): { name: string; encoded: string } {
  const [name, value] = random.pick(texts)
  // As it stands where it is an escape already: `%00` must reach the door as such.
  if (name === 'a path of percents') return { name, encoded: random.pick(['%00', '%zz', '%c3%28', 'a%00b', '%2e%2e']) }
  return { name, encoded: encodeURIComponent(value.toWellFormed()) }
}
