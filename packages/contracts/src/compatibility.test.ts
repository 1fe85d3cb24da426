import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { breakingChanges, type Schema, type Snapshot, snapshotOf } from './compatibility.ts'
import { allEvents } from './index.ts'

const base = {
  returnId: z.uuid(),
  reason: z.string().min(1).max(100),
  note: z.string().max(200).nullable(),
  channel: z.enum(['sms', 'email']),
  items: z.array(z.object({ sku: z.string(), quantity: z.int().min(1) })).max(20),
  cause: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('damaged'), photo: z.string() }),
    z.object({ kind: z.literal('late'), days: z.int() }),
  ]),
  hint: z.string().optional(),
}

const snapshot = (shape: z.ZodRawShape, key = 'returnId'): Snapshot => ({
  'return.requested/1': { key, schema: z.toJSONSchema(z.object(shape), { io: 'input' }) as unknown as Schema },
})
const changes = (shape: z.ZodRawShape, key?: string) => breakingChanges(snapshot(base), snapshot(shape, key))
const without = (name: keyof typeof base): z.ZodRawShape =>
  Object.fromEntries(Object.entries(base).filter(([key]) => key !== name))

test('every event still keeps the promises of the committed snapshot', () => {
  const committed = JSON.parse(readFileSync(new URL('../contracts.snapshot.json', import.meta.url), 'utf8')) as Snapshot
  expect(Object.keys(committed).length).toBeGreaterThan(0)
  expect(breakingChanges(committed, snapshotOf(allEvents()))).toEqual([])
})

describe('a change that old and new readers survive is let through', () => {
  test.each<[string, z.ZodRawShape]>([
    ['nothing', base],
    ['an optional field more', { ...base, colour: z.string().optional() }],
    [
      'an optional field more, deep inside',
      { ...base, items: z.array(z.object({ sku: z.string(), quantity: z.int().min(1), size: z.string().optional() })).max(20) },
    ],
    ['an enum value more', { ...base, channel: z.enum(['sms', 'email', 'voice']) }],
    ['a wider bound', { ...base, reason: z.string().max(400) }],
    [
      'a new member of a discriminated union',
      { ...base, cause: z.discriminatedUnion('kind', [...base.cause.options, z.object({ kind: z.literal('lost') })]) },
    ],
    ['another description', { ...base, reason: base.reason.describe('Why, in their words.') }],
  ])('%s', (_name, shape) => {
    expect(changes(shape)).toEqual([])
  })

  test('a new event and a new version beside the old one', () => {
    const now = snapshot(base)
    const schema = z.toJSONSchema(z.object({ id: z.string() })) as unknown as Schema
    expect(
      breakingChanges(now, { ...now, 'return.requested/2': { key: 'id', schema }, 'return.lost/1': { key: 'id', schema } }),
    ).toEqual([])
  })
})

describe('a change that breaks a reader is refused, naming the event and the field', () => {
  test.each<[string, z.ZodRawShape, string]>([
    ['a removed field', without('note'), 'note was removed'],
    ['a renamed field', { ...without('reason'), why: base.reason }, 'why is new and required; add it as optional'],
    ['a new required field', { ...base, colour: z.string() }, 'colour is new and required; add it as optional'],
    ['an optional field made required', { ...base, hint: z.string() }, 'hint became required'],
    [
      'a required field made optional',
      { ...base, reason: base.reason.optional() },
      'reason became optional, and its readers rely on it',
    ],
    ['another type', { ...base, reason: z.number() }, 'reason no longer accepts string'],
    [
      'an integer made a fraction',
      { ...base, items: z.array(z.object({ sku: z.string(), quantity: z.number().min(1) })).max(20) },
      'items[].quantity may now be number, which its readers do not expect',
    ],
    ['no more null', { ...base, note: z.string().max(200) }, 'note no longer accepts null'],
    [
      'null for readers who never met it',
      { ...base, reason: base.reason.nullable() },
      'reason may now be null, which its readers do not expect',
    ],
    [
      'a lower ceiling',
      { ...base, reason: z.string().min(1).max(50) },
      'reason is bounded tighter: maxLength went from 100 to 50',
    ],
    ['a higher floor', { ...base, reason: z.string().min(2).max(100) }, 'reason is bounded tighter: minLength went from 1 to 2'],
    [
      'a bound where there was none',
      { ...base, hint: z.string().max(9).optional() },
      'hint is bounded tighter: maxLength went from nothing to 9',
    ],
    ['a shorter list', { ...base, items: base.items.max(5) }, 'items is bounded tighter: maxItems went from 20 to 5'],
    ['a lost enum value', { ...base, channel: z.enum(['sms']) }, 'channel no longer accepts "email"'],
    ['a list closed', { ...base, reason: z.enum(['late']) }, 'reason now accepts only ["late"]'],
    ['a list opened', { ...base, channel: z.string() }, 'channel is no longer a closed list'],
    ['a pattern', { ...base, hint: z.string().regex(/^x/).optional() }, 'hint changed its pattern from nothing to "^x"'],
    [
      'a refused extra field',
      { ...base, items: z.array(z.strictObject({ sku: z.string(), quantity: z.int().min(1) })).max(20) },
      'items[] changed its additionalProperties from nothing to false',
    ],
    [
      'a lost member of a union',
      { ...base, cause: z.discriminatedUnion('kind', [base.cause.options[0]]) },
      'cause.days was removed',
    ],
    [
      'a change inside a member of a union',
      {
        ...base,
        cause: z.discriminatedUnion('kind', [base.cause.options[0], z.object({ kind: z.literal('late'), days: z.string() })]),
      },
      'cause.days no longer accepts integer',
    ],
  ])('%s', (_name, shape, problem) => {
    const found = changes(shape)
    expect(found).toContain(`return.requested version 1: ${problem}. Declare version 2 beside it.`)
  })

  test('another key, because it reorders what is in flight', () => {
    expect(changes(base, 'reason')[0]).toMatch(/^return\.requested version 1: its key changed from returnId to reason/)
  })

  test('a removed event, because the stream still holds some', () => {
    expect(breakingChanges(snapshot(base), {})).toEqual([
      'return.requested version 1 was removed, and the stream still holds events of it.',
    ])
  })
})

test('a recursive schema is compared to its end', () => {
  const tree = (leaf: z.ZodType) => {
    const Node: z.ZodObject = z.object({
      leaf,
      get children() {
        return z.array(Node)
      },
    })
    return { returnId: z.uuid(), root: Node }
  }
  expect(breakingChanges(snapshot(tree(z.string())), snapshot(tree(z.string())))).toEqual([])
  expect(breakingChanges(snapshot(tree(z.string())), snapshot(tree(z.int()))).join()).toContain('leaf no longer accepts string')
})

test('whatever is let through accepts every value that was valid before', () => {
  const text = fc.record({ min: fc.nat(4), max: fc.integer({ min: 4, max: 8 }), nullable: fc.boolean(), optional: fc.boolean() })
  const build = (spec: { min: number; max: number; nullable: boolean; optional: boolean }) => {
    const bounded = z.string().min(spec.min).max(spec.max)
    const nullable = spec.nullable ? bounded.nullable() : bounded
    return spec.optional ? nullable.optional() : nullable
  }
  const value = fc.option(fc.oneof(fc.string({ maxLength: 9 }), fc.constant(null)), { nil: undefined })
  fc.assert(
    fc.property(text, text, value, (before, after, field) => {
      const data = { field }
      fc.pre(z.object({ field: build(before) }).safeParse(data).success)
      fc.pre(breakingChanges(snapshot({ field: build(before) }), snapshot({ field: build(after) })).length === 0)
      expect(z.object({ field: build(after) }).safeParse(data).success).toBe(true)
    }),
    { numRuns: 300 },
  )
})
