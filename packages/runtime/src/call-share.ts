import { AppError } from './errors.ts'

/** Runs a call of somebody as soon as they have a place. Throws `too_many_requests` when enough of theirs wait already. */
export type CallShare = <T>(who: string, call: () => Promise<T>) => Promise<T>

/** So many calls of one organization wait in one process. A call that waits costs little, and eight seconds at most. */
export const mostWaiting = 500

interface Line {
  running: number
  waiting: (() => void)[]
}

/**
 * Calls share the connections of their service's pool as jobs share their places: whoever has calls here shares three quarters of
 * them, so that the next one to come finds a connection. Who asks for more at once than their share waits behind themselves.
 */
export function createCallShare(places: number): CallShare {
  const lines = new Map<string, Line>()
  const each = () => Math.max(1, Math.floor((places * 3) / 4 / Math.max(1, lines.size)))

  function leave(who: string, line: Line): void {
    line.running--
    if (line.running === 0 && line.waiting.length === 0) lines.delete(who)
    // A share may have grown since: it is filled again. While one waits there is always one running, who lets it in.
    for (let room = each() - line.running; room > 0 && line.waiting.length > 0; room--) {
      line.running++
      line.waiting.shift()?.()
    }
  }

  return async (who, call) => {
    let line = lines.get(who)
    if (line === undefined) lines.set(who, (line = { running: 0, waiting: [] }))
    if (line.running < each()) line.running++
    else {
      if (line.waiting.length >= mostWaiting)
        throw new AppError('too_many_requests', 'Too many calls of this organization are under way at once. Try again.', {
          details: { retryAfterMs: 1_000 },
        })
      const { promise, resolve } = Promise.withResolvers<void>()
      line.waiting.push(resolve)
      await promise
    }
    try {
      return await call()
    } finally {
      leave(who, line)
    }
  }
}
