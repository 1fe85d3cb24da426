import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { GenericContainer, Wait } from 'testcontainers'
import { waitUntil } from './process.ts'
import { startBoth, stopAll } from './together.ts'

const startTimeoutMs = 60_000

/** As on the embedded server: one node must flush before it acknowledges. */
const natsSettings = `listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 1MB
jetstream { store_dir: "/tmp/nats", sync_interval: always }
`

/** Starts Postgres and NATS from images that are already present, each on a free port of this machine. */
export async function startContainers(postgresImage: string, natsImage: string) {
  const password = randomBytes(24).toString('base64url')
  const [postgres, nats] = await startBoth(
    new GenericContainer(postgresImage)
      .withEnvironment({ POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: password, POSTGRES_DB: 'postgres' })
      .withCommand(['postgres', '-c', 'max_connections=200'])
      .withExposedPorts(5432)
      .withStartupTimeout(startTimeoutMs)
      .start(),
    new GenericContainer(natsImage)
      .withCopyContentToContainer([{ content: natsSettings, target: '/etc/parley-nats.conf' }])
      .withCommand(['-c', '/etc/parley-nats.conf'])
      .withExposedPorts(4222, 8222)
      .withWaitStrategy(Wait.forHttp('/healthz', 8222))
      .withStartupTimeout(startTimeoutMs)
      .start(),
  )
  const stop = () => stopAll(nats, postgres)
  const postgresUrl = `postgres://postgres:${password}@${postgres.getHost()}:${postgres.getMappedPort(5432)}/postgres`
  try {
    await waitForQuery(postgresUrl)
  } catch (error) {
    await stop()
    throw error
  }
  return { postgresUrl, natsUrl: `nats://${nats.getHost()}:${nats.getMappedPort(4222)}`, stop }
}

/** The port is open before the database answers: images start once more after their first initialisation. */
async function waitForQuery(url: string): Promise<void> {
  let last: unknown
  const answered = await waitUntil(
    async () => {
      const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
      client.on('error', (error) => (last = error)) // The server may end the connection between its two starts.
      try {
        await client.connect()
        await client.query('select 1')
        return true
      } catch (error) {
        last = error
        return false
      } finally {
        await client.end().catch((error: unknown) => (last = error))
      }
    },
    startTimeoutMs,
    200,
  )
  if (!answered) throw new Error('The Postgres container does not answer.', { cause: last })
}
