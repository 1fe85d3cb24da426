import { createServer, type Server } from 'node:http'
import type { ProcessConfig } from './process-config.ts'
import type { Telemetry } from './telemetry.ts'

/** The server for scrapers and probes, on an address of its own: never the public one (reliability.md A70). */
export async function openAdmin(
  config: ProcessConfig,
  telemetry: Telemetry,
  readiness: () => Promise<{ ready: boolean; checks: Record<string, boolean> }>,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET') response.writeHead(405).end()
    else if (request.url === '/metrics') telemetry.scrape(request, response)
    else if (request.url === '/healthz') response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}')
    else if (request.url === '/readyz') {
      void readiness().then((state) =>
        response.writeHead(state.ready ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(state)),
      )
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.ADMIN_PORT, config.ADMIN_HOST, resolve)
  })
  return server
}

/** Closes a server and the connections that idle on it. */
export const closeServer = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
