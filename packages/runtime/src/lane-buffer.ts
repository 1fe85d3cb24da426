import type { LaneMessage } from './bus-lane.ts'

const mostMessages = 256
/** Sixteen lanes of events of 64 KiB each would be more than a container's memory. */
const mostBytes = 1024 * 1024

/** Whether a lane has enough in hand: nothing more is asked for. What was asked for before may still come. */
export function isFull(buffer: readonly Pick<LaneMessage, 'data'>[]): boolean {
  if (buffer.length >= mostMessages) return true
  let bytes = 0
  for (const { data } of buffer) bytes += data.length
  return bytes >= mostBytes
}
