import { connect } from '@nats-io/transport-node'
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { findNatsServer } from '@parley/embedded'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scenario } from '../scenario.ts'
import { expectThat, until } from './until.ts'

const events = 3_000
type Sync = 'default' | '1s' | 'always'

/** What a broker on a disk of its own had acknowledged at the moment the power went, and what the disk still had afterwards. */
async function cutPower(folder: string, sync: Sync): Promise<{ acknowledged: number; lost: number }> {
  mkdirSync(folder, { recursive: true })
  const disk = join(folder, `${sync}.img`)
  const copy = join(folder, `${sync}-after.img`)
  run('truncate', ['-s', '192M', disk])
  run('mkfs.ext4', ['-q', '-F', disk])
  const before = await mounted(disk, join(folder, `${sync}-before`), async (mount) =>
    withBroker(folder, mount, sync, async (url) => {
      const acknowledged = await publishMany(url)
      // What the kernel has not written to the disk by now would be gone with the power; the image has only what it has.
      copyFileSync(disk, copy)
      return acknowledged
    }),
  )
  const after = await mounted(copy, join(folder, `${sync}-after`), (mount) => withBroker(folder, mount, sync, idsStored))
  const missing = before.filter((id) => !after.has(id))
  return { acknowledged: before.length, lost: missing.length }
}

export const powerIsCut: Scenario = {
  fault: 'F7',
  title: 'the power of the broker is cut: what it had acknowledged, by sync_interval',
  impossible() {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it mounts disk images, which needs root on Linux'
    const missing = ['losetup', 'mount', 'umount', 'mkfs.ext4', 'truncate'].filter((program) => !onPath(program))
    if (missing.length > 0) return `${missing.join(', ')} is missing`
    return canLoop() ? undefined : 'this machine gives no loop device'
  },
  async run({ world, sender }) {
    const lost: Partial<Record<Sync, number>> = {}
    for (const sync of ['default', '1s', 'always'] as const) {
      const result = await cutPower(join(world.folder, 'power'), sync)
      expectThat(result.acknowledged === events, `only ${result.acknowledged} events were acknowledged`)
      lost[sync] = result.lost
    }
    expectThat(lost.always === 0, `with sync_interval always ${lost.always} acknowledged events were lost`)
    expectThat((lost.default ?? 0) > 0, 'with the default nothing was lost: this test cannot see a power cut')
    // The broker that lost them is rebuilt from the outboxes, which Postgres had on disk.
    await Promise.all(Array.from({ length: 5 }, () => sender.newCustomer().writes()))
    await world.broker.restart('kill', { store: 'empty' })
    await Promise.all(Array.from({ length: 5 }, () => sender.newCustomer().writes()))
    return {
      rounds: 3,
      note: `of ${events} acknowledged, lost: default ${lost.default}, 1s ${lost['1s']}, always ${lost.always}`,
    }
  },
}

const run = (program: string, args: string[]) => execFileSync(program, args, { encoding: 'utf8', timeout: 30_000 }).trim()

function onPath(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/sbin', '/usr/sbin']
  return folders.some((folder) => existsSync(join(folder, program)))
}

function canLoop(): boolean {
  try {
    return run('losetup', ['-f']) !== ''
  } catch {
    return false // That it fails is the answer.
  }
}

async function mounted<T>(disk: string, mount: string, work: (mount: string) => Promise<T>): Promise<T> {
  mkdirSync(mount, { recursive: true })
  run('mount', ['-o', 'loop', disk, mount])
  try {
    return await work(mount)
  } finally {
    run('umount', [mount])
  }
}

async function withBroker<T>(folder: string, store: string, sync: Sync, work: (url: string) => Promise<T>): Promise<T> {
  const ports = join(store, 'ports')
  const config = join(folder, `${sync}.conf`)
  mkdirSync(ports, { recursive: true })
  for (const old of readdirSync(ports)) writeFileSync(join(ports, old), '')
  const setting = sync === 'default' ? '' : `sync_interval: ${sync}`
  writeFileSync(
    config,
    `listen: "127.0.0.1:-1"\nports_file_dir: ${JSON.stringify(ports)}\njetstream { store_dir: ${JSON.stringify(join(store, 'js'))}\n${setting} }\n`,
  )
  const server = spawn(await findNatsServer(), ['-c', config], { stdio: 'ignore' })
  try {
    let url: string | undefined
    await until('the broker on its own disk', () => (url = addressIn(ports)) !== undefined, 20_000)
    return await work(url as string)
  } finally {
    await killed(server)
  }
}

function addressIn(ports: string): string | undefined {
  for (const name of readdirSync(ports)) {
    const text = readFileSync(join(ports, name), 'utf8')
    if (text.trimEnd().endsWith('}')) return (JSON.parse(text) as { nats?: string[] }).nats?.[0]
  }
  return undefined
}

async function killed(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGKILL')
  await gone
}

async function publishMany(url: string): Promise<string[]> {
  const nc = await connect({ servers: url })
  try {
    const manager = await jetstreamManager(nc)
    await manager.streams.add({ name: 'EVT', subjects: ['evt.>'], storage: StorageType.File, retention: RetentionPolicy.Limits })
    const js = jetstream(nc)
    const acknowledged: string[] = []
    for (let start = 0; start < events; start += 100) {
      const ids = Array.from({ length: 100 }, (_, i) => `event-${start + i}`)
      await Promise.all(
        ids.map(async (id) => {
          await js.publish('evt.0', 'x'.repeat(500), { msgID: id })
          acknowledged.push(id)
        }),
      )
    }
    return acknowledged
  } finally {
    await nc.close()
  }
}

async function idsStored(url: string): Promise<Set<string>> {
  const nc = await connect({ servers: url })
  try {
    const manager = await jetstreamManager(nc)
    const ids = new Set<string>()
    // A stream whose very creation had not reached the disk is gone with all that was in it.
    const names = await manager.streams.names().next()
    if (!names.includes('EVT')) return ids
    const { state } = await manager.streams.info('EVT')
    if (state.messages === 0) return ids
    const { name } = await manager.consumers.add('EVT', { ack_policy: AckPolicy.None })
    const consumer = await jetstream(nc).consumers.get('EVT', name)
    for (let left = state.messages; left > 0; ) {
      for await (const message of await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5_000 })) {
        ids.add(message.headers?.get('Nats-Msg-Id') ?? '')
        left--
      }
    }
    return ids
  } finally {
    await nc.close()
  }
}
