import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  type QueryResult,
} from 'kysely'
import type { Writable } from 'node:stream'
import pg from 'pg'
import { NamesPlugin, SqlCompiler } from './compile-sql.ts'
import { AppError, classify, isStalePlan } from './errors.ts'
import type { Logger } from './log.ts'
import type { Tx } from './types.ts'

/** One open transaction, for the runtime itself; services see only its `tx`. */
export interface Session<DB> {
  tx: Tx<DB>
  /** From here on, row-level security shows this organization only. */
  useOrganization(organizationId: string): void
  /** Plain SQL with stable text: prepared once per connection. */
  query<Row>(text: string, values?: unknown[]): Promise<Row[]>
  /**
   * A statement whose answer nobody waits for: it travels with the next one, or with the commit, in one flight. When it fails the
   * transaction fails, with `failure` (its own error by default).
   */
  send(text: string, values?: unknown[], failure?: (error: unknown) => unknown): void
}

export interface Database<DB> {
  /** One transaction, optionally with an organization set from its first statement. Rolls back and rethrows on any error. */
  transaction<T>(organizationId: string | null, work: (session: Session<DB>) => Promise<T>): Promise<T>
  /**
   * A transaction that only reads: its result is given as soon as it is there, not when the transaction has ended. Locks and writes
   * have no place in it.
   */
  read<T>(organizationId: string, work: (session: Session<DB>) => Promise<T>): Promise<T>
  /** Statements on their own, without an organization: they see only tables that have none. Rows of all of them. */
  query<Row>(text: string, values?: unknown[]): Promise<Row[]>
  /** Connections: in use, idle, and requests waiting for one. */
  gauges(): { total: number; idle: number; waiting: number }
  close(): Promise<void>
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Anything else would be read as nobody's (an empty text) or fail later, at the first row it is compared with. */
function assertUuid(organizationId: string): void {
  if (!uuidPattern.test(organizationId)) throw new TypeError('An organization id must be a UUID.')
}

/** Statements seen often enough are prepared by name; more texts than this means somebody builds SQL from data. */
const mostPrepared = 1_000
const preparedNames = new Map<string, string>()
const seenOnce = new Set<string>()

/**
 * All columns of a table, whichever it has: after a migration has added one, Postgres refuses the prepared statement for ever ("cached
 * plan must not change result type"), and its transaction with it. A function's columns stand in its own statement.
 */
const openColumns =
  /(?:\bselect|\breturning|,)\s+(?:distinct\s+(?:on\s*\([^)]*\)\s*)?)?(?:"?\w+"?\.)?\*(?!\s+from\s+(?:unnest|json_to_recordset|jsonb_to_recordset)\s*\()/i
const neverPrepared = new Set<string>()

function preparedName(text: string): string | undefined {
  const name = preparedNames.get(text)
  if (name !== undefined || preparedNames.size >= mostPrepared || neverPrepared.has(text)) return name
  if (!seenOnce.has(text)) {
    if (seenOnce.size >= mostPrepared) seenOnce.clear()
    seenOnce.add(text)
    return undefined
  }
  seenOnce.delete(text)
  if (openColumns.test(text)) {
    if (neverPrepared.size >= mostPrepared) neverPrepared.clear()
    neverPrepared.add(text)
    return undefined
  }
  const fresh = `p${preparedNames.size + 1}`
  preparedNames.set(text, fresh)
  return fresh
}

function run<Row extends object>(client: pg.ClientBase, text: string, values: readonly unknown[]): Promise<pg.QueryResult<Row>> {
  const name = preparedName(text)
  gather(client)
  return client.query<Row>(name === undefined ? { text, values: [...values] } : { name, text, values: [...values] })
}

const corked = new WeakSet<pg.ClientBase>()

/** pg writes each statement to the socket on its own; held until the end of the turn, those of one turn are one system call. */
function gather(client: pg.ClientBase): void {
  if (corked.has(client)) return
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection
  corked.add(client)
  stream.cork()
  process.nextTick(() => {
    corked.delete(client)
    stream.uncork()
  })
}

/** A Kysely that speaks through one checked-out connection; begin and commit are the pool's business. */
function kyselyOn<DB>(client: pg.ClientBase): Kysely<DB> {
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const result = await run<R & object>(client, query.sql, query.parameters)
      const changed =
        result.command === 'INSERT' || result.command === 'UPDATE' || result.command === 'DELETE' || result.command === 'MERGE'
      return changed ? { rows: result.rows, numAffectedRows: BigInt(result.rowCount ?? 0) } : { rows: result.rows }
    },
    streamQuery() {
      throw new TypeError('Streaming queries are not offered: every list has a limit.')
    },
  }
  const nested = () => {
    throw new TypeError('A commit is one transaction already; it cannot hold another.')
  }
  const driver: Driver = {
    async init() {},
    async acquireConnection() {
      return connection
    },
    beginTransaction: nested,
    commitTransaction: nested,
    rollbackTransaction: nested,
    async releaseConnection() {},
    async destroy() {},
  }
  return new Kysely<DB>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driver,
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new SqlCompiler(),
    },
    plugins: [new NamesPlugin({ maintainNestedObjectKeys: true })],
  })
}

/** Statements of one transaction that are under way and that nobody awaits on their own. */
type Flight = ReturnType<typeof createFlight>
function createFlight(client: pg.PoolClient) {
  const underWay: Promise<unknown>[] = []
  let failed: { error: unknown } | undefined
  return {
    send(text: string, values: unknown[] = [], failure: (error: unknown) => unknown = (error) => error): void {
      gather(client)
      const answer = values.length === 0 ? client.query(text) : run(client, text, values)
      underWay.push(
        answer.catch((error: unknown) => {
          failed ??= { error: failure(error) }
        }),
      )
    },
    /** Resolves when all have been answered; rejects with the first failure. */
    async landed(last: Promise<unknown>): Promise<void> {
      await Promise.all([...underWay, last.catch(() => undefined)])
      if (failed) throw failed.error
    },
    /** The first failure among them, once all have been answered. */
    async failure(): Promise<unknown> {
      await Promise.all(underWay)
      return failed?.error
    },
  }
}

export interface DatabaseOptions {
  url: string
  /** Postgres schema, put first on the search path. */
  schema: string
  applicationName: string
  maxConnections: number
  log: Logger
}

/** A pool of one role on one schema. Statement, lock and idle time-outs belong to the role (reliability.md D22). */
export function openDatabase<DB>(options: DatabaseOptions): Database<DB> {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.maxConnections,
    options: `-c search_path=${options.schema}`,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // Statements are written without waiting for the answer to the one before: begin, a lease's check and the first query leave together.
    pipeline: true,
    // A server that stopped answering (paused machine, dead link) must not hold a request: reliability.md F12.
    query_timeout: 10_000,
  })
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', (error) => options.log.warn({ err: error }, 'an idle database connection broke'))
  // A server's last word may come in one piece with an answer; then the connection is being handed on and neither the pool nor
  // its next user listens yet. Whoever uses it next is told that it is broken.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const kyselys = new WeakMap<pg.PoolClient, Kysely<DB>>()

  function kyselyOf(client: pg.PoolClient): Kysely<DB> {
    const known = kyselys.get(client)
    if (known) return known
    const fresh = kyselyOn<DB>(client)
    kyselys.set(client, fresh)
    return fresh
  }

  async function transaction<T>(organizationId: string | null, work: (session: Session<DB>) => Promise<T>): Promise<T> {
    const { client, flight, session, ended } = await begin(organizationId)
    try {
      const result = await work(session)
      gather(client)
      const committing = client.query('commit')
      await flight.landed(committing)
      // Postgres answers COMMIT of a failed transaction with ROLLBACK and no error; taking that for success would lose work.
      if ((await committing).command !== 'COMMIT')
        throw new Error('The transaction was rolled back although no statement of it reported an error.')
      await ended()
      return result
    } catch (thrown) {
      throw await undone(flight, ended, thrown)
    }
  }

  async function read<T>(organizationId: string, work: (session: Session<DB>) => Promise<T>): Promise<T> {
    const { client, flight, session, ended } = await begin(organizationId)
    try {
      const result = await work(session)
      gather(client)
      // Whether the end of a transaction that wrote nothing is a commit makes no difference to what was read.
      const ending = client.query('commit')
      void flight.landed(ending).then(
        () => ended(),
        (error: unknown) => ended(error),
      )
      return result
    } catch (thrown) {
      throw await undone(flight, ended, thrown)
    }
  }

  async function begin(organizationId: string | null) {
    if (organizationId !== null) assertUuid(organizationId)
    const client = await pool.connect()
    let broken: Error | undefined
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    const flight = createFlight(client)
    flight.send(organizationId === null ? 'begin' : `begin; set local app.organization_id = '${organizationId}'`)
    const session: Session<DB> = {
      tx: kyselyOf(client),
      query: async <Row>(text: string, values: unknown[] = []) => (await run<Row & object>(client, text, values)).rows,
      send: flight.send,
      useOrganization(id) {
        assertUuid(id)
        flight.send(`select set_config('app.organization_id', $1, true)`, [id])
      },
    }
    /** Gives the connection back; one that is no good any more is closed. */
    async function ended(error?: unknown): Promise<void> {
      const isLost = !(error instanceof AppError) && classify(error) === 'outage'
      if (error !== undefined && (isLost || isStalePlan(error))) broken ??= error as Error
      if (error !== undefined && !broken) {
        await client.query('rollback').catch((failure: Error) => {
          broken = failure
        })
      }
      client.off('error', onError)
      client.release(broken)
    }
    return { client, flight, session, ended }
  }

  /** Rolls back and answers the reason: a statement behind a failed one says only that the transaction is aborted. */
  async function undone(flight: Flight, ended: (error: unknown) => Promise<void>, thrown: unknown): Promise<unknown> {
    const error = (await flight.failure()) ?? thrown
    await ended(error)
    return error
  }

  return {
    transaction,
    read,
    query: async <Row>(text: string, values: unknown[] = []) => {
      // Several statements in one text, as pg-boss' upkeep sends them, are taken only unprepared, and answered with a list.
      const name = values.length === 0 ? undefined : preparedName(text)
      const result = await pool.query<Row & object>(name === undefined ? { text, values } : { name, text, values })
      return [result].flat().flatMap(({ rows }) => rows)
    },
    gauges: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  }
}
