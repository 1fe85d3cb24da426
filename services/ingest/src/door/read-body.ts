import { AppError } from '@parley/runtime'
import type { Readable } from 'node:stream'
import type { BodyPlace } from './room.ts'

/** What holds more than this must go on coming; less than that costs nobody anything until the request's own deadline. */
const holdsMuchBytes = 64 * 1024
/** How often a body that holds much is looked at, and what it must have brought since. */
const lookEveryMs = 2_000
const leastBytesPerLook = 64 * 1024

/**
 * Reads a body whole, and takes room for it as it comes: neither what is announced nor what is never sent keeps others out. Fails with
 * AppError `too_large` beyond the limit, `unavailable` without room, and `timeout` when it holds much and hardly moves.
 */
export function readBody(
  stream: Readable,
  place: BodyPlace,
  limit: number,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = []
  let received = 0
  let seen = 0
  let watch: NodeJS.Timeout | undefined

  const finish = (error: Error | null, body?: Buffer) => {
    clearInterval(watch)
    stream.off('data', onData).off('end', onEnd).off('error', finish)
    // The rest of a refused body may still break off; nobody waits for it.
    if (error !== null) stream.on('error', () => undefined)
    done(error, body)
  }
  const look = () => {
    if (received - seen < leastBytesPerLook) return finish(new AppError('timeout', 'The body came too slowly.'))
    seen = received
  }
  const onData = (chunk: Buffer) => {
    received += chunk.length
    if (received > limit) return finish(new AppError('too_large', 'The body is too large.'))
    if (!place.take(chunk.length)) return finish(noRoom())
    chunks.push(chunk)
    if (watch === undefined && received > holdsMuchBytes) watch = setInterval(look, lookEveryMs).unref()
  }
  const onEnd = () => finish(null, Buffer.concat(chunks, received))
  stream.on('data', onData).on('end', onEnd).on('error', finish)
}

export function noRoom(): AppError {
  return new AppError('unavailable', 'Too much at once. Try again.')
}
