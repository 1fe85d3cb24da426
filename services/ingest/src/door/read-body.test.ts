import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readBody } from './read-body.ts'
import { type BodyPlace, createRoom } from './room.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const place = () => createRoom(4_000_000, 100).enter({ organizationId: 'o', id: 's' })

function reading(options: { limit?: number; at?: BodyPlace } = {}) {
  const stream = new PassThrough({ highWaterMark: 1 << 24 })
  const body = new Promise<Buffer | undefined>((resolve, reject) => {
    readBody(stream, options.at ?? place(), options.limit ?? 1_000_000, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    )
  })
  // Refused before anybody awaits it.
  body.catch(() => undefined)
  const send = async (bytes: number) => {
    stream.write(Buffer.alloc(bytes, 'x'))
    await new Promise(setImmediate)
  }
  return { stream, body, send }
}

test('a body comes whole, in whatever pieces', async () => {
  const { stream, body, send } = reading()
  for (const bytes of [1, 2, 3]) await send(bytes)
  stream.end('y')
  expect((await body)?.toString()).toBe('xxxxxxy')
})

test('a body beyond the limit is refused at that byte, and one without room as it meets the wall', async () => {
  const large = reading({ limit: 5 })
  await large.send(6)
  await expect(large.body).rejects.toMatchObject({ code: 'too_large' })
  const shut = reading({ at: { take: () => false, leave: () => undefined } })
  await shut.send(1)
  await expect(shut.body).rejects.toMatchObject({ code: 'unavailable' })
})

test('a body that holds much and stands still is put out; one that goes on, or holds little, is not', async () => {
  const [still, moving, little] = [reading(), reading(), reading()]
  await Promise.all([still.send(200_000), moving.send(200_000), little.send(1_000)])
  for (let i = 0; i < 3; i++) {
    vi.advanceTimersByTime(2_000)
    await moving.send(70_000)
  }
  await expect(still.body).rejects.toMatchObject({ code: 'timeout' })
  for (const { stream } of [moving, little]) stream.end()
  expect((await moving.body)?.length).toBe(410_000)
  expect((await little.body)?.length).toBe(1_000)
  expect(vi.getTimerCount()).toBe(0)
})

test('a body that breaks off fails as its stream does', async () => {
  const { stream, body } = reading()
  stream.destroy(new Error('cut off'))
  await expect(body).rejects.toThrow('cut off')
})
