import type { Stage } from './stage.ts'

/** Where the load goes. In the body, `{{n}}` becomes a number of ten digits, another one for each request, and `{{now}}` the seconds since 1970. ASCII only. */
export interface LoadTarget {
  url: string
  /** Default POST. */
  method?: 'GET' | 'POST'
  path: string
  headers: Record<string, string>
  body: string
}

/** With `perSecond`: requests at that rate for `seconds`. Without: as fast as `connections` answers come, for a time or a number. */
export interface LoadWish {
  connections: number
  seconds?: number
  requests?: number
  perSecond?: number
  /** Answer with the moment each request was due, too. */
  keepTimes?: boolean
}

export interface LoadResult {
  requests: number
  /** Answered with 2xx. */
  accepted: number
  /** Answers by status; 0 is a broken connection. */
  statuses: Record<number, number>
  /** Epoch milliseconds. */
  startedAt: number
  /** Accepted per second. */
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Number of the request, epoch milliseconds; empty unless asked for. */
  sentAt: [number, number][]
}

export interface Load {
  /** Rejects when any request was not answered with 2xx: a rate that counts refusals is no rate. */
  run(wish: LoadWish): Promise<LoadResult>
  stop(): Promise<void>
}

/** A load generator in a process of its own, the same one for both sides of a pair. */
export async function openLoad(stage: Stage, target: LoadTarget): Promise<Load> {
  const worker = await stage.worker(new URL('load-process.ts', import.meta.url), target)
  return {
    async run(wish) {
      const result = (await worker.call('run', wish)) as LoadResult
      if (result.accepted !== result.requests)
        throw new Error(
          `${target.path}: ${result.requests - result.accepted} of ${result.requests} requests failed: ${JSON.stringify(result.statuses)}`,
        )
      return result
    },
    stop: () => worker.stop(),
  }
}
