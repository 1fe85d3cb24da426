import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startPostgres } from '../src/postgres.ts'
import { isAlive } from '../src/process.ts'
import { processesIn, query, testFolder } from './helpers.ts'

test('stopped and started again, Postgres still has the data, and no process is left behind', async () => {
  const dataFolder = testFolder()
  const first = await startPostgres({ dataFolder })
  await query(first.url, 'create table kept as select 1 as n')
  await first.stop()
  expect(isAlive(first.pid)).toBe(false)
  expect(processesIn(dataFolder)).toEqual([])

  const second = await startPostgres({ dataFolder, port: first.port })
  expect(second.port).toBe(first.port)
  expect(await query(second.url, 'select n from kept')).toEqual([{ n: 1 }])
  await second.stop()
  await second.stop()
})

test('a server killed in the middle of its work comes back with everything it had committed', async () => {
  const dataFolder = testFolder()
  const first = await startPostgres({ dataFolder })
  await query(first.url, 'create table kept as select generate_series(1, 1000) as n')
  await first.kill()
  expect(processesIn(dataFolder)).toEqual([])

  const second = await startPostgres({ dataFolder })
  expect(await query(second.url, 'select count(*)::int as count from kept')).toEqual([{ count: 1000 }])
  await second.stop()
})

test('commits are durable, and no setting can change that', async () => {
  const dataFolder = testFolder()
  await expect(startPostgres({ dataFolder, settings: { fsync: 'off' } })).rejects.toThrow('settings.fsync cannot be changed')
  const server = await startPostgres({ dataFolder, settings: { work_mem: '8MB' } })
  const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'max_connections', 'work_mem', 'listen_addresses']
  const rows = await query(server.url, `select name, setting from pg_settings where name in ('${names.join("','")}')`)
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    max_connections: '200',
    work_mem: '8192',
    listen_addresses: '127.0.0.1',
  })
  await server.stop()
})

test('the password is in a file only its owner reads, and another password is refused', async () => {
  const dataFolder = testFolder()
  const server = await startPostgres({ dataFolder })
  expect(statSync(join(dataFolder, 'password')).mode & 0o777).toBe(0o600)
  const wrong = new URL(server.url)
  wrong.password = 'wrong'
  await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  await server.stop()
})

test('a folder that a live process uses is refused with its number', async () => {
  const dataFolder = testFolder()
  const server = await startPostgres({ dataFolder })
  await expect(startPostgres({ dataFolder })).rejects.toThrow(`in use by process ${process.pid}`)
  expect(await query(server.url, 'select 1 as n')).toEqual([{ n: 1 }])
  await server.stop()
})

test('the pid file of a dead server does not stop a start, even when a stranger has its number now', async () => {
  const dataFolder = testFolder()
  await (await startPostgres({ dataFolder })).stop()
  writeFileSync(
    join(dataFolder, 'data', 'postmaster.pid'),
    `${process.ppid}\n${join(dataFolder, 'data')}\n1\n1\n\n127.0.0.1\n1 1\nready\n`,
  )
  const server = await startPostgres({ dataFolder })
  expect(await query(server.url, 'select 1 as n')).toEqual([{ n: 1 }])
  expect(isAlive(process.ppid)).toBe(true)
  await server.stop()
})

test('an initdb that was interrupted is done again', async () => {
  const dataFolder = testFolder()
  mkdirSync(join(dataFolder, 'data.new'))
  writeFileSync(join(dataFolder, 'data.new', 'PG_VERSION'), '18\n')
  writeFileSync(join(dataFolder, 'password'), 'from the interrupted run')
  const server = await startPostgres({ dataFolder })
  expect(await query(server.url, 'select 1 as n')).toEqual([{ n: 1 }])
  await server.stop()
})

test.runIf(process.getuid?.() === 0)('root can keep the data under a folder that no other user may enter', async () => {
  const closed = testFolder()
  chmodSync(closed, 0o700)
  const dataFolder = join(closed, 'project', 'pg')
  const first = await startPostgres({ dataFolder })
  await query(first.url, 'create table kept as select 1 as n')
  await first.kill()
  const second = await startPostgres({ dataFolder })
  expect(await query(second.url, 'select n from kept')).toEqual([{ n: 1 }])
  expect(statSync(join(dataFolder, 'data')).uid).not.toBe(0)
  await second.stop()
})
