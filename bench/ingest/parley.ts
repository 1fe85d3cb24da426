import { ingest } from '@parley/ingest'
import { createKey, start } from '@parley/runtime'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { processEnvironment } from '../lib/environment.ts'
import { roleUrl } from '../lib/stage.ts'
import { serveWorker } from '../lib/worker.ts'
import { channelId } from '../lib/webhook.ts'
import type { Door } from './webhook.ts'

export interface IngestSettings {
  adminUrl: string
  natsUrl: string
  root: string
  connections: number
}

/** The real ingest service, with a webhook source made through its own route. */
serveWorker<IngestSettings>(async ({ adminUrl, natsUrl, root, connections }) => {
  const { key, stored } = createKey(randomUUIDv7(), ['*'])
  const running = await start({
    services: [ingest as never],
    environment: processEnvironment(natsUrl, root, {
      DATABASE_POOL: String(connections),
      PARLEY_API_KEYS: JSON.stringify([stored]),
      PARLEY_SECRET_KEY: randomBytes(32).toString('base64'),
    }),
    databaseUrl: (role) => roleUrl(adminUrl, role),
  })
  const response = await fetch(`${running.url}/v1/webhook-sources`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ provider: 'whapi', accountId: channelId, name: 'Benchmark' }),
  })
  if (response.status !== 201) throw new Error(`No webhook source: ${response.status} ${await response.text()}`)
  const { path, header } = (await response.json()) as { path: string; header: { name: string; value: string } }
  const door: Door = { url: running.url, path, headers: { [header.name]: header.value } }
  return {
    ready: door,
    // What the relay still has to publish must not run into the next measurement.
    calls: { settle: async () => running.settle(120_000) },
    close: () => running.stop(),
  }
})
