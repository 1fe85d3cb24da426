import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { checkNatsVersion, findNatsServer } from '../src/nats-binary.ts'
import { startNats } from '../src/nats.ts'
import { isAlive } from '../src/process.ts'
import { jetStream, testFolder } from './helpers.ts'

const createStream = (port: number) =>
  jetStream(port, '$JS.API.STREAM.CREATE.kept', JSON.stringify({ name: 'kept', subjects: ['kept.>'], storage: 'file' }))

async function countMessages(port: number): Promise<unknown> {
  const info = await jetStream(port, '$JS.API.STREAM.INFO.kept', '')
  return (info['state'] as { messages?: number } | undefined)?.messages
}

test('JetStream flushes every message to disk before it acknowledges it', async () => {
  const server = await startNats({ storeFolder: testFolder() })
  const monitored = (await (await fetch(`${server.monitoringUrl}/varz`)).json()) as Record<string, Record<string, unknown>>
  expect(monitored['jetstream']?.['config']).toMatchObject({ sync_always: true })
  expect(monitored).toMatchObject({ host: '127.0.0.1', max_payload: 1024 * 1024 })
  await server.stop()
})

test('stopped and started again on the same port, NATS still has its streams', async () => {
  const storeFolder = testFolder()
  const first = await startNats({ storeFolder })
  await createStream(first.port)
  expect(await jetStream(first.port, 'kept.a', 'hello')).toEqual({ stream: 'kept', seq: 1 })
  await first.stop()
  expect(isAlive(first.pid)).toBe(false)

  const second = await startNats({ storeFolder, port: first.port })
  expect(second.port).toBe(first.port)
  expect(await countMessages(second.port)).toBe(1)
  await second.stop()
})

test('a server killed in the middle of its work comes back with everything it had acknowledged', async () => {
  const storeFolder = testFolder()
  const first = await startNats({ storeFolder })
  await createStream(first.port)
  for (let i = 1; i <= 20; i++) expect(await jetStream(first.port, 'kept.a', String(i))).toMatchObject({ seq: i })
  await first.kill()

  const second = await startNats({ storeFolder, port: first.port })
  expect(await countMessages(second.port)).toBe(20)
  await second.stop()
})

test('a folder that a live process uses is refused with its number', async () => {
  const storeFolder = testFolder()
  const server = await startNats({ storeFolder })
  await expect(startNats({ storeFolder })).rejects.toThrow(`in use by process ${process.pid}`)
  await server.stop()
})

test('a server that is too old, or is none, is refused in one line that says what to do', async () => {
  const program = (name: string, says: string) => {
    const path = join(folder, name)
    writeFileSync(path, `#!/bin/sh\necho '${says}'\n`)
    chmodSync(path, 0o755)
    return path
  }
  const folder = testFolder()
  const old = program('old', 'nats-server: v2.9.10')
  await expect(checkNatsVersion(old)).rejects.toThrow(
    /^.*old is nats-server 2\.9\.10, which is too old\. Get 2\.10\.23 or newer with `.+$/,
  )
  await expect(startNats({ storeFolder: folder, binary: old })).rejects.toThrow('2.9.10, which is too old')
  await expect(checkNatsVersion(program('other', 'hello'))).rejects.toThrow('is not a nats-server')

  const lines: string[] = []
  expect(await checkNatsVersion(program('early', 'nats-server: v2.10.1'), (line) => lines.push(line))).toEqual([2, 10, 1])
  expect(lines).toEqual([expect.stringContaining('2.10.23 or newer is better')])

  vi.stubEnv('PARLEY_NATS_BIN', old)
  onTestFinished(() => void vi.unstubAllEnvs())
  await expect(findNatsServer()).rejects.toThrow('which is too old')
})
