import { relayRole, roleOf } from '@parley/runtime'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { runCli } from '../src/cli.ts'
import { type Home, homeOf, openState, saveState } from '../src/home.ts'
import { allServices } from '../src/services.ts'

/** A home of its own on the test run's servers: an own database, an own stream. */
export interface Here {
  home: Home
  environment: NodeJS.ProcessEnv
  /** SQL as the superuser, for assertions. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>
  parley(...args: string[]): Promise<{ code: number; out: string; err: string }>
  remove(): Promise<void>
}

export function makeHere(more: Record<string, string> = {}): Here {
  const home = homeOf(mkdtempSync(join(tmpdir(), 'parley-here-')))
  const name = `parley_h_${randomBytes(6).toString('hex')}`
  const state = openState(
    home,
    allServices.map((service) => service.name),
  )
  // Roles belong to the whole server: the worlds of other test files log in with this password at the same time.
  for (const role of [relayRole, ...allServices.map((service) => roleOf(service.name))]) state.passwords[role] = 'parley-test'
  saveState(home, state)
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    PARLEY_HOME: home.folder,
    PARLEY_POSTGRES_ADMIN_URL: inject('postgresUrl'),
    PARLEY_NATS_URL: inject('natsUrl'),
    PARLEY_DATABASE: name,
    BUS_ROOT: `t${randomBytes(6).toString('hex')}`,
    NATS_MAX_BYTES: String(64 * 1024 ** 2),
    AGENTS_QUIET_MS: '50',
    POLL_MS: '200',
    ...more,
  }
  // startInfrastructure reads the process's own environment.
  process.env['PARLEY_POSTGRES_ADMIN_URL'] = inject('postgresUrl')
  process.env['PARLEY_NATS_URL'] = inject('natsUrl')
  const url = new URL(inject('postgresUrl'))
  url.pathname = `/${name}`
  let pool: pg.Pool | undefined
  return {
    home,
    environment,
    async sql(text, values = []) {
      pool ??= new pg.Pool({ connectionString: url.toString(), max: 2 })
      return (await pool.query(text, values)).rows
    },
    async parley(...args) {
      const out: string[] = []
      const err: string[] = []
      const code = await runCli(args, { out: (line) => out.push(line), err: (line) => err.push(line), environment })
      return { code, out: out.join('\n'), err: err.join('\n') }
    },
    async remove() {
      await pool?.end()
      const client = new pg.Client({ connectionString: inject('postgresUrl') })
      await client.connect()
      await client.query(`drop database if exists ${name} with (force)`)
      await client.end()
      rmSync(home.folder, { recursive: true, force: true })
    },
  }
}
