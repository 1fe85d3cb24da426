import { encodeToken, type EventType } from '@parley/contracts'
import { hash } from 'node:crypto'
import { expect } from 'vitest'
import { jsonBytes } from './fields.ts'
import type { Normalised, NormaliseInput, WebhookAdapter } from './types.ts'

export const receiptId = '01938f6e-0000-7000-8000-000000000001'
export const receivedAt = new Date('2026-09-30T12:00:00.000Z')

/** Normalises a body as ingest would, at a fixed time. */
export function normalised(adapter: WebhookAdapter, body: unknown, also: Partial<NormaliseInput> = {}): Normalised {
  const bodySha256 = hash('sha256', JSON.stringify(body) ?? '', 'hex')
  return adapter.normalise({ headers: {}, body, receivedAt, accountId: null, receiptId, bodySha256, ...also })
}

/** Types of the events in order, `unused` for an item without one. */
export function typesOf(result: Normalised): string[] {
  return result.items.map((item) => item.event?.type.type ?? 'unused')
}

/** The data of the only item, which must be an event of this type. */
export function only<Data>(result: Normalised, type: EventType<Data>): Data {
  expect(typesOf(result)).toEqual([type.type])
  expectSound(result)
  return result.items[0]?.event?.data as Data
}

/** What must hold of every delivery, whatever is in it: valid events that fit the bus, and keys that tell the items apart. */
export function expectSound(result: Normalised): void {
  for (const { event, dedupeKey } of result.items) {
    expect(dedupeKey).toMatch(/^[^\0]{3,500}$/)
    if (event === null) continue
    const parsed = event.type.schema.safeParse(event.data)
    expect(parsed.error?.issues ?? []).toEqual([])
    expect(parsed.data, 'a field that the contract does not have').toEqual(event.data)
    expect(jsonBytes(event.data)).toBeLessThanOrEqual(64 * 1_024)
    expect(() => encodeToken(event.type.keyOf(event.data))).not.toThrow()
  }
}
