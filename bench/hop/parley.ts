import { start } from '@parley/runtime'
import { processEnvironment } from '../lib/environment.ts'
import { roleUrl } from '../lib/stage.ts'
import { serveWorker } from '../lib/worker.ts'
import { type HopApp, hopService } from './service.ts'

export interface HopSettings {
  adminUrl: string
  natsUrl: string
  root: string
  events: number
}

serveWorker<HopSettings>(async ({ adminUrl, natsUrl, root }) => {
  const running = await start({
    services: [hopService as never],
    environment: processEnvironment(natsUrl, root),
    databaseUrl: (role) => roleUrl(adminUrl, role),
  })
  const app = running.services[0]?.app as HopApp
  return {
    calls: { progress: async () => ({ handled: app.handled, firstAt: app.firstAt }) },
    close: () => running.stop(),
  }
})
