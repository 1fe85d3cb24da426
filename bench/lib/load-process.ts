import { type HttpConnection, openConnection } from './http-connection.ts'
import type { LoadResult, LoadTarget, LoadWish } from './load.ts'
import { percentile } from './statistics.ts'
import { serveWorker } from './worker.ts'

/** Digits of a number in a request: constant, so that its content-length is. The seconds of our time have as many. */
const digits = 10

/** The text of a request with a number of its own, and the time, in the places the template leaves for them. */
function requestMaker({ method = 'POST', path, headers, body }: LoadTarget): (number: number) => string {
  const sample = body.replaceAll(/\{\{(n|now)\}\}/g, '0'.repeat(digits))
  const all = {
    host: '127.0.0.1',
    ...(method === 'GET' ? {} : { 'content-type': 'application/json' }),
    ...headers,
    ...(method === 'GET' ? {} : { 'content-length': String(Buffer.byteLength(sample)) }),
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  const template = [`${method} ${path} HTTP/1.1`, ...head, '', body].join('\r\n')
  let second = 0
  let parts: string[] = []
  return (number) => {
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) {
      second = now
      parts = template.replaceAll('{{now}}', String(now)).split('{{n}}')
    }
    return parts.join(String(number).padStart(digits, '0'))
  }
}

serveWorker<LoadTarget>(async (target) => {
  const { hostname, port } = new URL(target.url)
  const make = requestMaker(target)
  const connections: HttpConnection[] = []
  let nextNumber = 1

  function open(count: number): HttpConnection[] {
    while (connections.length < count) connections.push(openConnection(hostname, Number(port)))
    return connections.slice(0, count)
  }

  /** Each connection sends its next request when the last one is answered. */
  function closedLoop(wish: LoadWish): Promise<LoadResult> {
    const tally = createTally(wish)
    const endAt = wish.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + wish.seconds * 1000
    const last = wish.requests === undefined ? Number.POSITIVE_INFINITY : nextNumber + wish.requests - 1
    return new Promise((resolve) => {
      let busy = 0
      const step = (connection: HttpConnection) => {
        const sentAt = performance.now()
        if (sentAt >= endAt || nextNumber > last) {
          if (--busy === 0) resolve(tally.result())
          return
        }
        const number = nextNumber++
        tally.sent(number, sentAt)
        connection.send(make(number), (status) => {
          tally.answered(status, sentAt)
          step(connection)
        })
      }
      const all = open(wish.connections)
      busy = all.length
      for (const connection of all) step(connection)
    })
  }

  /** Requests leave at a fixed rate whatever the answers do; latency counts from when a request was due, not from when it could go. */
  function openLoop(wish: LoadWish & { perSecond: number; seconds: number }): Promise<LoadResult> {
    const tally = createTally(wish)
    const idle = open(wish.connections)
    const due: number[] = []
    const startedAt = performance.now()
    const total = Math.round(wish.perSecond * wish.seconds)
    let planned = 0
    let answered = 0
    return new Promise((resolve) => {
      function pump(): void {
        for (let dueAt = due[0]; dueAt !== undefined && idle.length > 0; dueAt = due[0]) {
          due.shift()
          const connection = idle.pop() as HttpConnection
          const number = nextNumber++
          const from = dueAt
          tally.sent(number, from)
          connection.send(make(number), (status) => {
            tally.answered(status, from)
            idle.push(connection)
            if (++answered === total) {
              clearInterval(timer)
              resolve(tally.result())
            } else if (due.length > 0) pump()
          })
        }
      }
      const timer = setInterval(() => {
        const now = performance.now()
        while (planned < total && startedAt + (planned * 1000) / wish.perSecond <= now) {
          due.push(startedAt + (planned * 1000) / wish.perSecond)
          planned++
        }
        pump()
      }, 2)
    })
  }

  return {
    calls: {
      run: (wish: LoadWish) => {
        const { perSecond, seconds } = wish
        return perSecond !== undefined && seconds !== undefined ? openLoop({ ...wish, perSecond, seconds }) : closedLoop(wish)
      },
    },
    async close() {
      for (const connection of connections) connection.close()
    },
  }
})

function createTally(wish: LoadWish) {
  const startedAt = performance.now()
  const latencies: number[] = []
  const sentAt: [number, number][] = []
  const statuses: Record<number, number> = {}
  return {
    sent(number: number, at: number) {
      if (wish.keepTimes) sentAt.push([number, performance.timeOrigin + at])
    },
    answered(status: number, from: number) {
      statuses[status] = (statuses[status] ?? 0) + 1
      latencies.push(performance.now() - from)
    },
    result(): LoadResult {
      const seconds = (performance.now() - startedAt) / 1000
      const sorted = Float64Array.from(latencies).sort()
      const accepted = Object.entries(statuses).reduce((sum, [status, count]) => (status.startsWith('2') ? sum + count : sum), 0)
      return {
        requests: latencies.length,
        accepted,
        statuses,
        startedAt: performance.timeOrigin + startedAt,
        perSecond: accepted / seconds,
        p50Ms: percentile(sorted, 0.5),
        p99Ms: percentile(sorted, 0.99),
        sentAt,
      }
    },
  }
}
