import { Agent } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { clip, exchange, type NoAnswer } from './exchange.ts'
import { readRetryAfterMs } from './retry-after.ts'
import { type SimulatorServer, startSimulatorServer } from './simulator-server.ts'

const agent = new Agent({ connections: 1 })
let server: SimulatorServer
let handled = 0

beforeAll(async () => {
  server = await startSimulatorServer({
    faultsApplyTo: () => true,
    handle: () => {
      handled += 1
      return { status: 200, body: { ok: true } }
    },
  })
})
afterEach(() => server.faults.clear())
afterAll(async () => {
  await agent.destroy()
  await server.close()
})

const post = (overrides: Partial<Parameters<typeof exchange>[1]> = {}) =>
  exchange(agent, {
    method: 'POST',
    url: `${server.url}/x`,
    headers: {},
    body: '{}',
    timeoutMs: 5_000,
    maxAnswerBytes: 1_000,
    ...overrides,
  })

describe('an exchange that got no answer says whether the request was written', () => {
  test('a refused connection: not written', async () => {
    const closed = await startSimulatorServer({ faultsApplyTo: () => false, handle: () => ({ status: 200, body: {} }) })
    await closed.close()
    const result = await post({ url: `${closed.url}/x` })
    expect(result).toMatchObject({ ok: false, reason: 'connection', written: false })
    expect((result as NoAnswer).message).toContain('ECONNREFUSED')
  })

  test('a name that does not resolve: not written', async () => {
    expect(await post({ url: 'http://parley.invalid/x' })).toMatchObject({ ok: false, reason: 'connection', written: false })
  })

  test('a connection lost before the answer: written', async () => {
    server.faults.next({ kind: 'drop', acts: false })
    expect(await post()).toMatchObject({ ok: false, reason: 'connection', written: true })
  })

  test('no answer in time: written', async () => {
    server.faults.next({ kind: 'delay', afterMs: 10_000 })
    expect(await post({ timeoutMs: 50 })).toMatchObject({ ok: false, reason: 'timeout', written: true })
  })

  test('headers without an end of the body: written', async () => {
    server.faults.next({ kind: 'hang_after_headers' })
    expect(await post({ timeoutMs: 50 })).toMatchObject({ ok: false, reason: 'timeout', written: true })
  })

  test('out of time while queueing for a connection: not written, and never written later', async () => {
    server.faults.next({ kind: 'delay', beforeMs: 150 })
    const before = handled
    const first = post()
    const queued = await post({ timeoutMs: 30 })
    expect(queued).toMatchObject({ ok: false, reason: 'timeout', written: false })
    expect(await first).toMatchObject({ ok: true, status: 200 })
    expect(await post()).toMatchObject({ ok: true }) // passes behind the one given up on the only connection
    expect(handled - before).toBe(2)
  })

  test('given up by the caller', async () => {
    server.faults.next({ kind: 'delay', afterMs: 10_000 })
    const caller = new AbortController()
    const result = post({ signal: caller.signal })
    caller.abort()
    expect(await result).toMatchObject({ ok: false, reason: 'aborted' })
    expect(await post({ signal: caller.signal })).toMatchObject({ ok: false, reason: 'aborted', written: false })
  })

  test('an answer beyond the ceiling is not read to its end', async () => {
    server.faults.next({ kind: 'oversize', bytes: 5_000_000 })
    expect(await post()).toMatchObject({ ok: false, reason: 'too_large', written: true })
    expect(await post()).toMatchObject({ ok: true }) // and the next call is not harmed
  })
})

test.each([
  [{ 'retry-after': '7' }, 7_000],
  [{ 'retry-after': '0.5' }, 500],
  [{ 'retry-after-ms': '120', 'retry-after': '7' }, 120],
  [{ 'retry-after': 'Wed, 21 Oct 2026 07:28:10 GMT' }, 10_000],
  [{ 'retry-after': 'Wed, 21 Oct 2020 07:28:10 GMT' }, 0],
  [{ 'retry-after': 'soon' }, null],
  [{ 'retry-after': '-3' }, null],
  [{}, null],
] as [Record<string, string>, number | null][])('%j asks for a pause of %s ms', (headers, pauseMs) => {
  expect(readRetryAfterMs(headers, new Date('2026-10-21T07:28:00Z'))).toBe(pauseMs)
})

test('a clipped text never ends in half a character', () => {
  expect(clip('abcdef', 6)).toBe('abcdef')
  expect(clip('abcdefg', 6)).toBe('abcde…')
  expect(clip('ab🙂🙂🙂', 4)).toBe('ab…')
})
