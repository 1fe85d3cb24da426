import { keyChanged } from '@parley/contracts'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { countersStream } from '../src/bus-counters.ts'
import type { Running } from '../src/start.ts'
import { startTcpProxy, startWorld, type TcpProxy, type World } from '../src/testing/index.ts'
import { createTestKey, desk, registry, type RegistryApp } from './registry.ts'

let world: World
let replica: Running
let proxy: TcpProxy
/** Past the proxy. */
let nc: NatsConnection
let jsm: JetStreamManager
const registryOf = (running: Running) => running.services.find(({ name }) => name === 'registry')?.app as RegistryApp
const root = () => world.environment['BUS_ROOT'] as string

beforeAll(async () => {
  const nats = new URL(inject('natsUrl'))
  proxy = await startTcpProxy({ host: nats.hostname, port: Number(nats.port) })
  nats.hostname = '127.0.0.1'
  nats.port = String(proxy.port)
  world = await startWorld({ services: [registry, desk], postgresUrl: inject('postgresUrl'), natsUrl: nats.toString() })
  replica = await world.startReplica()
  Object.assign(registryOf(replica), registryOf(world.running))
  nc = await connect({ servers: inject('natsUrl') })
  jsm = await jetstreamManager(nc)
})
afterAll(async () => {
  proxy?.set({ kind: 'pass' })
  await nc?.close()
  await world?.stop()
  await proxy?.close()
})

interface Known {
  key: string
  keyId: string
}
/** A key that accounts and both replicas' tables hold. */
async function knownKey(perDay: number): Promise<Known> {
  const { key, record } = createTestKey(world.organizationId, { perDay })
  registryOf(world.running).keys.set(record.keyId, record)
  await world.state('registry', keyChanged, record)
  await expect
    .poll(() => world.sql('select 1 from desk.identity_keys where key_id = $1', [record.keyId]), { timeout: 5_000 })
    .toHaveLength(1)
  return { key, keyId: record.keyId }
}
/** How many of these calls a replica lets through; the rest must be refused for their number. */
async function through({ key }: Known, calls: number, url = world.running.url): Promise<number> {
  const call = () => fetch(`${url}/v1/desk`, { headers: { authorization: `Bearer ${key}` } })
  const statuses = (await Promise.all(Array.from({ length: calls }, call))).map(({ status }) => status)
  expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([])
  return statuses.filter((status) => status === 200).length
}
/** What the replicas have told each other of a key. */
async function counted({ keyId }: Known): Promise<number> {
  const message = await jsm.direct.getMessage(countersStream(root()), { last_by_subj: `count.${root()}.${keyId}.day` })
  return message?.json<{ count: number }>().count ?? 0
}
/** Both replicas ask the broker again: they leave it alone for a second after it failed them. */
async function untilAsked(): Promise<void> {
  for (const url of [world.running.url, replica.url]) {
    const probe = await knownKey(1_000_000)
    await expect.poll(async () => (await through(probe, 1, url)) && counted(probe), { timeout: 10_000 }).toBeGreaterThan(0)
  }
}

test('a broker that has forgotten its counts counts anew, and no call is refused for it', async () => {
  const key = await knownKey(1_000)
  expect(await through(key, 10)).toBe(10)
  expect(await counted(key)).toBe(50)
  await jsm.streams.delete(countersStream(root()))
  // More than one grant, so that counts are asked for again.
  expect(await through(key, 200)).toBe(200)
  expect(await counted(key)).toBeGreaterThan(0)
  expect(await through(await knownKey(20), 60)).toBe(20)
})

test('while the broker is away a limit holds in each replica alone, and afterwards the others are told what passed', async () => {
  const [used, fresh] = [await knownKey(40), await knownKey(40)]
  expect(await through(used, 10)).toBe(10)
  proxy.set({ kind: 'refuse' })
  await expect.poll(() => world.running.bus.connected(), { timeout: 5_000 }).toBe(false)
  expect(await through(fresh, 100)).toBe(40)
  expect(await through(used, 100)).toBe(30)
  proxy.set({ kind: 'pass' })
  await untilAsked()
  expect(await through(used, 1)).toBe(0)
  expect(await through(fresh, 1)).toBe(0)
  expect(await counted(fresh)).toBe(40)
  expect(await through(used, 50, replica.url)).toBe(0)
  expect(await through(fresh, 50, replica.url)).toBe(0)
})

test('a broker that does not answer holds no call up for longer than a moment', async () => {
  await untilAsked()
  const key = await knownKey(40)
  proxy.set({ kind: 'black-hole' })
  const started = performance.now()
  expect(await through(key, 100)).toBe(40)
  const elapsedMs = performance.now() - started
  // It was asked, and not for long.
  expect(elapsedMs).toBeGreaterThan(900)
  expect(elapsedMs).toBeLessThan(4_000)
})
