import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { startEmbedded, startInfrastructure } from '../src/infrastructure.ts'
import { isAlive, waitUntil } from '../src/process.ts'
import { jetStream, killNow, launchElsewhere, processesIn, query, testFolder } from './helpers.ts'

afterEach(() => vi.unstubAllEnvs())

test('the servers of a killed launcher are stopped in order by the next one, which then has all the data', async () => {
  const folder = testFolder()
  const { launcher, postgres, nats } = await launchElsewhere(folder)
  await query(postgres.url, 'create table kept as select 1 as n')
  const stream = JSON.stringify({ name: 'kept', subjects: ['kept.>'] })
  await jetStream(Number(new URL(nats.url).port), '$JS.API.STREAM.CREATE.kept', stream)
  await killNow(launcher.pid ?? 0)
  expect([postgres.pid, nats.pid].map(isAlive)).toEqual([true, true])

  const next = await startEmbedded({ folder })
  expect([postgres.pid, nats.pid].map(isAlive)).toEqual([false, false])
  expect(await query(next.postgresUrl, 'select n from kept')).toEqual([{ n: 1 }])
  expect(await jetStream(next.nats?.port ?? 0, '$JS.API.STREAM.INFO.kept', '')).toHaveProperty('config.name', 'kept')
  await next.stop()
  expect(processesIn(folder)).toEqual([])
})

test('when launcher and servers are all killed, the next start works and nothing of the old is left', async () => {
  const folder = testFolder()
  const { launcher, postgres, nats } = await launchElsewhere(folder)
  await query(postgres.url, 'create table kept as select 1 as n')
  for (const pid of [launcher.pid ?? 0, postgres.pid, nats.pid]) await killNow(pid)

  const next = await startEmbedded({ folder })
  expect(await query(next.postgresUrl, 'select n from kept')).toEqual([{ n: 1 }])
  await next.stop()
  expect(processesIn(folder)).toEqual([])
})

test('a launcher that exits without stopping its servers takes them along', async () => {
  const folder = testFolder()
  const ended = spawnSync(process.execPath, [join(import.meta.dirname, 'launcher.ts'), folder, 'exit'], { timeout: 20_000 })
  expect(ended.status).toBe(0)
  expect(await waitUntil(() => processesIn(folder).length === 0, 10_000)).toBe(true)
})

test('half of a pair of addresses is refused with the name of the missing half', async () => {
  vi.stubEnv('PARLEY_NATS_URL', 'nats://127.0.0.1:4222')
  vi.stubEnv('PARLEY_POSTGRES_ADMIN_URL', undefined)
  await expect(startInfrastructure({ folder: testFolder() })).rejects.toThrow('PARLEY_POSTGRES_ADMIN_URL is missing')
})
