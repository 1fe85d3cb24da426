import { describe, expect, test } from 'vitest'
import {
  canonicalJson,
  checkEnd,
  followChain,
  genesis,
  type Head,
  linkHash,
  sealEntries,
  type SealedEntry,
  type Stored,
} from './audit-chain.ts'

/** FNV-1a over the text, in 64 hex digits: enough to tell two texts of a test apart. The real one is SHA-256. */
function digest(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash.toString(16).padStart(64, '0')
}

const organization = '0199aaaa-0000-7000-8000-000000000001'
const sealedAt = '2026-03-01T10:00:00.000Z'

function entry(number: number): SealedEntry {
  return {
    entryId: `0199bbbb-0000-7000-8000-00000000000${number}`,
    requestId: `r${number}`,
    actorKind: 'member',
    actorId: 'anna',
    ip: '203.0.113.7',
    userAgent: null,
    at: `2026-03-01T09:00:0${number}.000Z`,
    action: 'PATCH /v1/members/:id',
    resourceType: 'member',
    resourceId: 'bert',
    before: { role: 'viewer' },
    after: { role: 'admin', since: number },
    reason: null,
  }
}

const entries = [1, 2, 3, 4, 5].map(entry)
const links = sealEntries(digest, organization, genesis, entries, sealedAt)
const whole = (): Stored[] => links.map((link, i) => ({ link: { ...link }, entry: structuredClone(entries[i] as SealedEntry) }))
const follow = (page: readonly Stored[], head: Head = genesis) => followChain(digest, organization, head, page)
const noted = links.at(-1) as Head
const at = (page: Stored[], index: number) => page[index] as Stored

describe('a chain', () => {
  test('that nobody touched holds, whole or page by page', () => {
    const followed = follow(whole())
    expect(followed).toEqual({ head: { sequence: 5, hash: noted.hash }, broken: null })
    const first = follow(whole().slice(0, 2))
    expect(follow(whole().slice(2), first.head)).toEqual(followed)
    expect(checkEnd(followed.head, noted, 5)).toBeNull()
  })

  test.each(Object.keys(entry(3)) as (keyof SealedEntry)[])('tells that %s of an entry was edited', (field) => {
    const page = whole()
    Object.assign(at(page, 2).entry as SealedEntry, { [field]: 'forged' })
    expect(follow(page).broken).toEqual({ kind: 'edited', sequence: 3, entryId: entry(3).entryId })
  })

  test('tells that a value deep inside was edited, or when it was sealed', () => {
    const page = whole()
    ;(at(page, 2).entry as { after: { since: number } }).after.since = 4
    expect(follow(page).broken).toMatchObject({ kind: 'edited', sequence: 3 })
    const late = whole()
    at(late, 1).link.sealedAt = '2026-03-02T10:00:00.000Z'
    expect(follow(late).broken).toMatchObject({ kind: 'edited', sequence: 2 })
  })

  test('tells that an entry, or a link, was deleted', () => {
    const page = whole()
    page[1] = { link: at(page, 1).link, entry: undefined }
    expect(follow(page).broken).toEqual({ kind: 'deleted', sequence: 2, entryId: entry(2).entryId })
    expect(follow(whole().filter((_, i) => i !== 1)).broken).toEqual({ kind: 'deleted', sequence: 2, entryId: null })
  })

  test('tells that two entries changed places', () => {
    const page = whole()
    const [two, three] = [at(page, 1), at(page, 2)]
    page[1] = { link: { ...two.link, entryId: three.link.entryId }, entry: three.entry }
    page[2] = { link: { ...three.link, entryId: two.link.entryId }, entry: two.entry }
    expect(follow(page).broken).toEqual({ kind: 'reordered', sequence: 2, entryId: entry(3).entryId })
  })

  test('tells that one was put in between and those behind it moved up', () => {
    const page = whole()
    const forged = sealEntries(digest, organization, links[1] as Head, [entry(9)], sealedAt)[0]
    const moved = page.slice(2).map(({ link, entry }) => ({ link: { ...link, sequence: link.sequence + 1 }, entry }))
    const planted = [...page.slice(0, 2), { link: forged as Stored['link'], entry: entry(9) }, ...moved]
    expect(follow(planted).broken).toMatchObject({ sequence: 4, entryId: entry(3).entryId })
  })

  test('tells that one took the place of another, with a hash made for it', () => {
    const page = whole()
    page[2] = {
      link: sealEntries(digest, organization, links[1] as Head, [entry(9)], sealedAt)[0] as Stored['link'],
      entry: entry(9),
    }
    expect(follow(page).broken).toEqual({ kind: 'inserted', sequence: 4, entryId: entry(4).entryId })
  })

  test('tells that its tail was cut off, or written anew, or goes on past its head', () => {
    const short = follow(whole().slice(0, 3))
    expect(short.broken).toBeNull()
    expect(checkEnd(short.head, noted, 3)).toEqual({ kind: 'truncated', sequence: 4, entryId: null })
    const forged = sealEntries(digest, organization, genesis, [1, 2, 9, 4, 5].map(entry), sealedAt)
    expect(checkEnd(forged.at(-1) as Head, noted, 5)).toMatchObject({ kind: 'rewritten', sequence: 5 })
    expect(checkEnd(noted, noted, 6)).toMatchObject({ kind: 'rewritten', sequence: 6 })
  })

  test('of one organization does not hold for another', () => {
    const other = '0199aaaa-0000-7000-8000-000000000002'
    expect(followChain(digest, other, genesis, whole()).broken).toMatchObject({ kind: 'edited', sequence: 1 })
  })
})

describe('canonical JSON', () => {
  test('is the same text whatever the order of keys, and another for another value', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'é' }], a: true })).toBe('{"a":true,"b":[1,{"c":"é","d":null}]}')
    expect(canonicalJson({ a: 1, b: undefined })).toBe(canonicalJson({ a: 1 }))
    expect(canonicalJson({ a: '1' })).not.toBe(canonicalJson({ a: 1 }))
    expect(canonicalJson(['a', 'b'])).not.toBe(canonicalJson(['b', 'a']))
  })

  test('keeps what a field says apart from what its neighbour says', () => {
    const hash = (actorId: string, action: string) =>
      linkHash(digest, organization, { sequence: 1, entryId: '', previousHash: '', sealedAt }, { ...entry(1), actorId, action })
    expect(hash('a","action":"b', 'c')).not.toBe(hash('a', 'b","c'))
  })
})
