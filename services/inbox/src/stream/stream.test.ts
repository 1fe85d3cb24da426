import type { Logger, ServiceDatabase } from '@parley/runtime'
import { describe, expect, test, vi } from 'vitest'
import type { StreamedEvent } from '../db/outbox.ts'
import type { DB } from '../db/types.ts'
import { type Cursor, formatCursor, isAfter, parseCursor } from './cursor.ts'
import { Feed, type FeedSource, type Listener } from './feed.ts'
import { eventText } from './plugin.ts'
import { createStreams, maxStreamsPerOrganization } from './streams.ts'

const event = (xid: number, seq: number): StreamedEvent => ({
  cursor: { xid: BigInt(xid), seq: BigInt(seq) },
  envelope: { id: `${xid}-${seq}`, type: 'message.added', time: '2026-03-01T10:00:00.000Z', data: { text: 'a\nb\r\n\nc' } },
})

describe('a place in the stream', () => {
  test('survives being written and read, beyond what a number holds', () => {
    const cursor = { xid: 9_007_199_254_740_993n, seq: 9_007_199_254_740_995n }
    const at = new Date('2026-03-01T10:00:00.000Z')
    expect(parseCursor(formatCursor(cursor, at))).toEqual({ cursor, at })
    expect(parseCursor('7-3')).toEqual({ cursor: { xid: 7n, seq: 3n }, at: null })
  })
  test.each(['', '1', '1-', '-1-2', '1-2-3-4', 'a-b', '1e3-2', `${'9'.repeat(25)}-1`])('%j is none', (text) => {
    expect(parseCursor(text)).toBeUndefined()
  })
  test('goes by transaction first, by row second', () => {
    expect(isAfter({ xid: 2n, seq: 1n }, { xid: 1n, seq: 9n })).toBe(true)
    expect(isAfter({ xid: 1n, seq: 9n }, { xid: 1n, seq: 9n })).toBe(false)
    expect(isAfter({ xid: 1n, seq: 10n }, { xid: 1n, seq: 9n })).toBe(true)
  })
})

test('an event is one block, whatever line ends its text has', () => {
  const lines = eventText(event(7, 3)).split('\n')
  expect(lines.slice(0, 2)).toEqual(['id: 7-3-1772359200', 'event: message.added'])
  expect(lines[2]).toMatch(/^data: \{/)
  expect(lines.slice(3)).toEqual(['', ''])
  expect(JSON.parse(lines[2]?.slice(6) ?? '')).toMatchObject({ id: '7-3', data: { text: 'a\nb\r\n\nc' } })
})

function outbox(...events: StreamedEvent[]) {
  const reads: Cursor[] = []
  const source: FeedSource = {
    end: async () => events.at(-1)?.cursor ?? { xid: 0n, seq: 0n },
    after: async (cursor, limit) => {
      reads.push(cursor)
      return events.filter((candidate) => isAfter(candidate.cursor, cursor)).slice(0, limit)
    },
  }
  return { source, reads, add: (...more: StreamedEvent[]) => void events.push(...more) }
}

function reader() {
  const seen: string[] = []
  const begun: Cursor[] = []
  const listener: Listener = {
    take: (taken) => {
      seen.push(taken.envelope.id)
      return true
    },
    begins: (at) => void begun.push(at),
    reset: (at) => void seen.push(`reset ${at.xid}-${at.seq}`),
    failed: (error) => void seen.push(`failed ${String(error)}`),
  }
  return { seen, begun, listener }
}

describe('a feed', () => {
  test('tells what comes after the subscription, in order', async () => {
    const { source, add } = outbox(event(1, 1))
    const feed = new Feed(source)
    const { seen, listener } = reader()
    await feed.subscribe(undefined, listener)
    add(event(2, 3), event(3, 2))
    await feed.wake()
    expect(seen).toEqual(['2-3', '3-2'])
  })

  test('resumes after the last event a reader had, without a gap or a double, while others listen', async () => {
    const { source, add } = outbox(event(1, 1), event(2, 2), event(3, 3))
    const feed = new Feed(source)
    const first = reader()
    const second = reader()
    await feed.subscribe(undefined, first.listener)
    add(event(4, 4))
    const resumed = feed.subscribe({ xid: 1n, seq: 1n }, second.listener)
    await feed.wake()
    await resumed
    add(event(5, 5))
    await feed.wake()
    expect(second.seen).toEqual(['2-2', '3-3', '4-4', '5-5'])
    expect(first.seen).toEqual(['4-4', '5-5'])
  })

  test('reads the outbox once for all who listen', async () => {
    const { source, reads, add } = outbox()
    const feed = new Feed(source)
    const readers = Array.from({ length: 20 }, reader)
    for (const { listener } of readers) await feed.subscribe(undefined, listener)
    add(event(1, 1))
    await feed.wake()
    expect(readers.every(({ seen }) => seen.length === 1)).toBe(true)
    expect(reads).toHaveLength(1)
  })

  test('sends a reader who missed too much to load anew', async () => {
    const { source } = outbox(...Array.from({ length: 3_000 }, (_, i) => event(i + 1, i + 1)))
    const feed = new Feed(source)
    const { seen, listener } = reader()
    await feed.subscribe({ xid: 0n, seq: 0n }, listener)
    expect(seen).toHaveLength(2_001)
    expect(seen.at(-1)).toBe('reset 3000-3000')
  })

  test('says at once where it begins: who hears nothing before the line breaks misses nothing either', async () => {
    const { source, add } = outbox(event(1, 1))
    const { seen, begun, listener } = reader()
    const leave = await new Feed(source).subscribe(undefined, listener)
    leave()
    add(event(2, 2))
    const back = reader()
    await new Feed(source).subscribe(begun[0], back.listener)
    expect({ begun, seen, back: back.seen }).toEqual({ begun: [{ xid: 1n, seq: 1n }], seen: [], back: ['2-2'] })
  })

  test.each([
    ['lies ahead, as after the database was set back', { xid: 900n, seq: 1n }],
    ['is not kept any more', 'forgotten'],
  ] as const)('sends a reader whose place %s to load anew, and tells what comes then', async (_why, from) => {
    const { source, add } = outbox(event(1, 1))
    const feed = new Feed(source)
    const { seen, listener } = reader()
    await feed.subscribe(from, listener)
    add(event(2, 2))
    await feed.wake()
    expect(seen).toEqual(['reset 1-1', '2-2'])
  })

  test('lets go of a reader who takes no more', async () => {
    const { source, add } = outbox()
    const feed = new Feed(source)
    const take = vi.fn(() => false)
    await feed.subscribe(undefined, { ...reader().listener, take })
    add(event(1, 1), event(2, 2))
    await feed.wake()
    expect(take).toHaveBeenCalledTimes(1)
    expect(feed.size).toBe(0)
  })

  test('goes on after the outbox could not be read', async () => {
    const { source, add } = outbox()
    let broken = false
    const feed = new Feed({
      ...source,
      after: (cursor, limit) => (broken ? Promise.reject(new Error('away')) : source.after(cursor, limit)),
    })
    const { seen, listener } = reader()
    await feed.subscribe(undefined, listener)
    add(event(1, 1))
    broken = true
    await feed.wake()
    broken = false
    await feed.wake()
    expect(seen).toEqual(['failed Error: away', '1-1'])
  })
})

describe('the streams of a replica', () => {
  const unsubscribe = vi.fn()
  const database = { read: async () => ({ xid: 1n, seq: 0n }), onCommit: () => unsubscribe } as unknown as ServiceDatabase<DB>
  const streams = () => createStreams({ database, log: {} as Logger })

  test('are so many for one organization and no more, without a word to another', async () => {
    const all = streams()
    const join = (organization: string) => all.subscribe(organization, undefined, reader().listener)
    const [leave] = await Promise.all(Array.from({ length: maxStreamsPerOrganization }, () => join('one')))
    await expect(join('one')).rejects.toMatchObject({ code: 'too_many_requests' })
    const leaveOther = await join('other')
    leave?.()
    leave?.()
    await join('one')
    await expect(join('one')).rejects.toMatchObject({ code: 'too_many_requests' })
    leaveOther()
    all.close()
  })

  test('leave nothing running when the last one goes', async () => {
    unsubscribe.mockClear()
    const all = streams()
    const leave = await all.subscribe('one', undefined, reader().listener)
    expect(unsubscribe).not.toHaveBeenCalled()
    leave()
    expect(unsubscribe).toHaveBeenCalledTimes(1)
  })
})
