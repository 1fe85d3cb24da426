import { blockSize, type Reservation } from './rules/rate-slots.ts'

export interface PacedChannel {
  organizationId: string
  accountId: string
  perSecond: number
}

/** Hands out the moments at which a channel may send. */
export interface Pacer {
  /** How long to wait before sending, or that the channel is booked out for so long that waiting is not worth it. */
  take(channel: PacedChannel): Promise<{ waitMs: number } | { tooFarMs: number }>
  /** Takes a slot that is due now, if this process has one: asks nobody, so it may stand inside a transaction. */
  takeDue(channel: PacedChannel): boolean
}

interface Block {
  /** Free slots of this process, rising, in milliseconds of its own monotonic clock. */
  startsAt: number[]
  filling: Promise<Reservation> | undefined
}

/** A slot nobody used within this time is lost: an idle process must not save up a burst. */
const staleMs = 1_000
const mostChannels = 10_000

/**
 * Shares one channel's pace between all replicas while asking the database only once per block of slots. `reserve` books slots
 * for everyone; `clock` is monotonic milliseconds.
 */
export function createPacer(
  reserve: (channel: PacedChannel, count: number) => Promise<Reservation>,
  clock = () => performance.now(),
): Pacer {
  const blocks = new Map<string, Block>()

  function blockOf(channel: PacedChannel): Block {
    const key = `${channel.organizationId}/${channel.accountId}`
    let block = blocks.get(key)
    if (!block) {
      block = { startsAt: [], filling: undefined }
      const oldest = blocks.keys().next()
      // Forgetting a block only loses its slots.
      if (blocks.size >= mostChannels && !oldest.done) blocks.delete(oldest.value)
      blocks.set(key, block)
    }
    return block
  }

  async function fill(block: Block, channel: PacedChannel): Promise<Reservation> {
    const reservation = await reserve(channel, blockSize(channel.perSecond))
    const now = clock()
    if ('startsInMs' in reservation) for (const delay of reservation.startsInMs) block.startsAt.push(now + delay)
    return reservation
  }

  function dropStale(block: Block, now: number): void {
    while ((block.startsAt[0] ?? Number.POSITIVE_INFINITY) < now - staleMs) block.startsAt.shift()
  }

  return {
    takeDue(channel) {
      const block = blockOf(channel)
      const now = clock()
      dropStale(block, now)
      if ((block.startsAt[0] ?? Number.POSITIVE_INFINITY) > now) return false
      block.startsAt.shift()
      return true
    },
    async take(channel) {
      const block = blockOf(channel)
      for (;;) {
        const now = clock()
        dropStale(block, now)
        const slot = block.startsAt.shift()
        if (slot !== undefined) return { waitMs: Math.max(0, slot - now) }
        block.filling ??= fill(block, channel).finally(() => {
          block.filling = undefined
        })
        const filled = await block.filling
        if ('tooFarMs' in filled) return filled
      }
    },
  }
}
