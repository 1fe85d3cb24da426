import { start } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { processEnvironment } from '../lib/environment.ts'
import { roleUrl } from '../lib/stage.ts'
import { serveWorker } from '../lib/worker.ts'
import { peerService } from './service.ts'
import type { PeerSettings } from './task.ts'

serveWorker<PeerSettings>(async ({ adminUrl, natsUrl, root, sinkUrl, concurrency, connections }) => {
  const running = await start({
    services: [peerService({ sinkUrl, concurrency, organizationId: randomUUIDv7() }) as never],
    environment: processEnvironment(natsUrl, root, { DATABASE_POOL: String(connections) }),
    databaseUrl: (role) => roleUrl(adminUrl, role),
  })
  return { ready: running.url, close: () => running.stop() }
})
