import { randomBytes } from 'node:crypto'
import { openLog, openSealingKeys, Secret, type ServiceDatabase } from '@parley/runtime'
import { describe, expect, test } from 'vitest'
import type { Source } from '../db/sources.ts'
import type { DB } from '../db/types.ts'
import { makeToken } from '../token.ts'
import { createSourceCache } from './source-cache.ts'

const organizationId = '0190a6d2-7b4c-7def-8123-456789abcdef'
const keys = openSealingKeys(new Secret(Buffer.alloc(32, 7).toString('base64')))
const log = openLog({ name: 'test', level: 'silent' })

/** A cache over a table of at most one source, on a clock that the test moves. */
function world() {
  const state = { nowMs: 0, row: rowOf(), queries: 0, away: false, slow: Promise.resolve() }
  const read: ServiceDatabase<DB>['read'] = async <T>() => {
    state.queries++
    const { row, slow } = state
    await slow
    if (state.away) throw new Error('Connection terminated unexpectedly')
    return row as T
  }
  const cache = createSourceCache({ database: { read }, keys, now: () => new Date(0), log, clock: () => state.nowMs })
  return { state, cache, token: makeToken(organizationId, randomBytes(32)) }
}

function rowOf(): Source | undefined {
  return {
    organizationId,
    id: 's-1',
    provider: 'tavus',
    accountId: null,
    name: 'x',
    tokenHash: null,
    headerName: null,
    sealedHeaderCurrent: null,
    sealedHeaderPrevious: null,
    headerRotatedAt: null,
    sealedSigningCurrent: null,
    sealedSigningPrevious: null,
    signingRotatedAt: null,
    status: 'active',
    lastReceivedAt: null,
    connectionId: null,
    connectionRevision: null,
    createdAt: new Date(0),
    updatedAt: new Date(0),
  }
}

describe('finding a source', () => {
  test('costs one query for many requests at once, and none for a second after', async () => {
    const { state, cache, token } = world()
    const found = await Promise.all(Array.from({ length: 100 }, () => cache.find(token)))
    expect(new Set(found.map((source) => source?.id))).toEqual(new Set(['s-1']))
    state.nowMs = 999
    await cache.find(token)
    expect(state.queries).toBe(1)
  })

  test('a closed source is not found any more after two seconds, used meanwhile or not', async () => {
    const { state, cache, token } = world()
    await cache.find(token)
    state.row = undefined
    state.nowMs = 2_000
    expect(await cache.find(token)).toBeUndefined()
  })

  test('a busy source is renewed before it expires, and nobody waits for that', async () => {
    const { state, cache, token } = world()
    await cache.find(token)
    state.nowMs = 1_500
    expect((await cache.find(token))?.id).toBe('s-1')
    await expect.poll(() => state.queries).toBe(2)
    state.nowMs = 2_400
    await cache.find(token)
    expect(state.queries).toBe(2)
  })

  test('an unknown token costs one query in two seconds, and one of another form none', async () => {
    const { state, cache, token } = world()
    state.row = undefined
    for (let i = 0; i < 50; i++) expect(await cache.find(token)).toBeUndefined()
    for (let i = 0; i < 50; i++) expect(await cache.find('guess')).toBeUndefined()
    expect(state.queries).toBe(1)
    state.row = rowOf()
    state.nowMs = 2_000
    expect((await cache.find(token))?.id).toBe('s-1')
  })

  test('what was read before a change does not come back after it', async () => {
    const { state, cache, token } = world()
    const { promise, resolve } = Promise.withResolvers<void>()
    state.slow = promise
    const before = cache.find(token)
    state.row = undefined
    state.slow = Promise.resolve()
    cache.clear()
    expect(await cache.find(token)).toBeUndefined()
    resolve()
    expect((await before)?.id).toBe('s-1')
    expect(await cache.find(token)).toBeUndefined()
  })

  test('while the database is away, known sources serve until they expire, and then the fault is told', async () => {
    const { state, cache, token } = world()
    await cache.find(token)
    state.away = true
    state.nowMs = 1_900
    expect((await cache.find(token))?.id).toBe('s-1')
    state.nowMs = 2_000
    await expect(cache.find(token)).rejects.toThrow('Connection terminated')
    state.away = false
    expect((await cache.find(token))?.id).toBe('s-1')
  })
})
