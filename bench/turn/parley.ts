import { allServices } from '@parley/all'
import { createKey, start } from '@parley/runtime'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { processEnvironment } from '../lib/environment.ts'
import { roleUrl } from '../lib/stage.ts'
import { serveWorker } from '../lib/worker.ts'
import type { Outside } from './outside.ts'
import { channelId } from '../lib/webhook.ts'

export interface TurnSettings {
  adminUrl: string
  natsUrl: string
  root: string
  outside: Outside
}

export interface Idle {
  cpuPercent: number
  rssMb: number
  /** What is ours alone and our part of what is shared; undefined where the system does not say. */
  pssMb: number | undefined
}

/** The four services in one process, as `parley start` runs them, with an organization, a webhook source and a channel. */
serveWorker<TurnSettings>(async ({ adminUrl, natsUrl, root, outside }) => {
  const { key, stored } = createKey(randomUUIDv7(), ['*'])
  const running = await start({
    services: allServices,
    environment: processEnvironment(natsUrl, root, {
      DATABASE_POOL: '8',
      PARLEY_API_KEYS: JSON.stringify([stored]),
      PARLEY_SECRET_KEY: randomBytes(32).toString('base64'),
      AGENTS_QUIET_MS: '0',
      AGENTS_DAILY_CAP_MICROS: '1000000000000',
      MODEL_SIMULATOR_URL: outside.modelUrl,
      NOTIFIER_WHAPI_GATEWAYS: outside.gatewayUrl,
      // The pace that protects a real phone number is not what is measured here.
      NOTIFIER_WHATSAPP_PER_SECOND: '10000',
    }),
    databaseUrl: (role) => roleUrl(adminUrl, role),
  })

  async function call(method: string, path: string, body: unknown): Promise<unknown> {
    const response = await fetch(running.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
  const source = (await call('POST', '/v1/webhook-sources', { provider: 'whapi', accountId: channelId, name: 'Benchmark' })) as {
    path: string
    header: { name: string; value: string }
  }
  await call('PUT', `/v1/channels/${channelId}`, { token: outside.gatewayToken, baseUrl: outside.gatewayUrl, perSecond: 10_000 })

  async function idle(seconds: number): Promise<Idle> {
    const before = process.cpuUsage()
    const startedAt = performance.now()
    await wait(seconds * 1000)
    const { user, system } = process.cpuUsage(before)
    return {
      cpuPercent: (user + system) / 10 / (performance.now() - startedAt),
      rssMb: process.memoryUsage.rss() / 1024 ** 2,
      pssMb: proportionalMb(),
    }
  }
  return {
    ready: { url: running.url, path: source.path, headers: { [source.header.name]: source.header.value } },
    calls: { settle: async () => running.settle(180_000), idle },
    close: () => running.stop(),
  }
})

function proportionalMb(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
}
