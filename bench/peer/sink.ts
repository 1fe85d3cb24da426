import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveWorker } from '../lib/worker.ts'

/** The outside system: takes a message, answers with an id, and counts how often it was told each. */
serveWorker(async () => {
  const seen = new Map<string, number>()
  /** Epoch milliseconds of each new one. */
  const newAt: number[] = []
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      const key = String(request.headers['idempotency-key'])
      const times = (seen.get(key) ?? 0) + 1
      if (times === 1) newAt.push(performance.timeOrigin + performance.now())
      seen.set(key, times)
      const text = JSON.stringify({ id: `sent-${seen.size}` })
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    ready: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: {
      count: async () => seen.size,
      arrivals: async () => ({ newAt, repeated: [...seen.values()].filter((times) => times > 1).length }),
    },
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
})
