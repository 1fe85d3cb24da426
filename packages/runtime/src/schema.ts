import { laneCount } from '@parley/contracts'
import { Migrator } from 'kysely/migration'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { classify, describe } from './errors.ts'
import { organizationTables } from './identity/organization-tables.ts'
import { closedOrganizationsPolicy, heldJobs } from './held-tables.ts'
import { idempotencyPolicies, idempotencyTables } from './idempotency-tables.ts'
import { identityTables, keyMakers } from './identity/tables.ts'
import { chainsByIndex, handledFor, lanesHeard, outboxUpkeep, parkedInOrder } from './spine-tables.ts'
import type { Job, Migration, Service } from './types.ts'

/** Postgres schema of a service: its name, '-' as '_'. */
export function schemaOf(serviceName: string): string {
  if (!/^[a-z][a-z-]{1,40}$/.test(serviceName)) throw new TypeError(`'${serviceName}' cannot name a service.`)
  return serviceName.replaceAll('-', '_')
}

/** The schema of a service's job queues: pg-boss keeps its tables there, apart from the service's own. */
export const jobSchemaOf = (serviceName: string) => `${schemaOf(serviceName)}_jobs`
/** The role a service works as: no ownership, no BYPASSRLS (reliability.md D21). */
export const roleOf = (serviceName: string) => `parley_${schemaOf(serviceName)}`
/** The role of the outbox relay and of the runtime's own look at what is parked: may read outbox and dead letters of every organization. */
export const relayRole = 'parley_relay'
/** Where a job goes when pg-boss itself gives up on it (its worker died once too often). */
export const deadQueue = 'dead'

/** What every service schema holds for the runtime. */
const runtimeTables = `
create table outbox (
  seq bigint generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  id uuid not null,
  organization_id uuid not null,
  lane smallint not null,
  type text not null,
  key text not null,
  correlation_id text not null,
  envelope json not null,
  created_at timestamptz not null default now(),
  primary key (id, created_at)
) partition by range (created_at);
create index outbox_order on outbox (xid, seq);
create index outbox_correlation on outbox (correlation_id);
create table outbox_rest partition of outbox default;

create function maintain_outbox(keep_days int) returns void language plpgsql security definer set search_path = SCHEMA_NAME, pg_temp as $$
declare
  day date;
  part record;
begin
  for day in select generate_series(current_date, current_date + 3, interval '1 day')::date loop
    if to_regclass(format('SCHEMA_NAME.outbox_%s', to_char(day, 'YYYYMMDD'))) is null then
      execute format('create table SCHEMA_NAME.outbox_%s partition of SCHEMA_NAME.outbox for values from (%L) to (%L)',
        to_char(day, 'YYYYMMDD'), day, day + 1);
    end if;
  end loop;
  for part in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'SCHEMA_NAME.outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$' loop
    if to_date(substr(part.relname, 8), 'YYYYMMDD') < current_date - keep_days then
      execute format('drop table SCHEMA_NAME.%I', part.relname);
    end if;
  end loop;
end $$;
select maintain_outbox(7);

create table relay_cursor (
  only_row boolean primary key default true check (only_row),
  xid xid8 not null default '0',
  seq bigint not null default 0,
  stream_created text
);
insert into relay_cursor default values;

create table handled (
  event_id uuid not null,
  handler text not null,
  handled_at timestamptz not null default now(),
  primary key (event_id, handler)
);
create index handled_age on handled using brin (handled_at);

create table lane_leases (
  lane smallint primary key,
  holder text,
  epoch bigint not null default 0,
  expires_at timestamptz not null default now(),
  stream_created text,
  position bigint not null default 0
);
insert into lane_leases (lane) select generate_series(0, ${laneCount - 1});

create table replicas (
  id text primary key,
  seen_at timestamptz not null default now()
);

create table dead_letters (
  id uuid not null,
  organization_id uuid not null,
  kind text not null check (kind in ('event', 'job')),
  handler text not null,
  lane smallint,
  key text not null,
  event_id text not null,
  type text not null,
  correlation_id text,
  payload json not null,
  state text not null check (state in ('retrying', 'waiting', 'dead', 'redriven', 'dropped', 'recovered')),
  error_class text,
  error text,
  attempts int not null default 0,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  next_at timestamptz,
  settled_by text,
  primary key (organization_id, id)
);
create index dead_letters_open on dead_letters (lane, next_at) where state in ('retrying', 'waiting');
create index dead_letters_state on dead_letters (organization_id, state, last_at);

create table effects (
  organization_id uuid not null,
  effect_key text not null,
  kind text not null,
  target text not null,
  state text not null check (state in ('intent', 'unknown', 'confirmed', 'refused', 'stopped', 'manual')),
  request_sha256 text not null,
  reference text,
  found_by_lookup boolean not null default false,
  tries int not null default 1,
  absences int not null default 0,
  detail text,
  intended_at timestamptz not null default now(),
  settled_at timestamptz,
  correlation_id text,
  primary key (organization_id, effect_key)
);
`

/** Which call of an effect was allowed last and when, so that a run that stood still cannot call after another's. */
const effectCalls: Migration = {
  name: '000-runtime-effect-calls',
  up: `
    alter table effects add column calls int not null default 1;
    alter table effects add column last_call_at timestamptz not null default now();
  `,
}

const organizationPolicy = `organization_id = nullif(current_setting('app.organization_id', true), '')::uuid`

export interface MigrateOptions {
  /** A role that may create roles and schemas. It owns what it creates. */
  adminUrl: string
  services: readonly Service<never, never, never>[]
  /** Login passwords to set, by role; a role without one is created without login (the operator's own provisioning gives it one). */
  passwords?: Record<string, string>
}

/**
 * Brings every service's schema up to date: roles, tables, row-level security on each table that has an organization, grants, job
 * queues. Safe to run twice and by two processes at once (Kysely's migrator locks). Throws on the first step that fails; what
 * ran before it stays.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const pool = new pg.Pool({
    connectionString: options.adminUrl,
    max: 2,
    application_name: 'parley-migrate',
    options: `-c lock_timeout=${lockTimeoutMs}`,
  })
  try {
    await createRoles(pool, options)
    for (const service of options.services) await migrateService(pool, options.adminUrl, service)
  } finally {
    await pool.end()
  }
}

const lockTimeoutMs = 1_000
const mostLockTries = 600

/**
 * Whoever waits to change a table makes all its traffic wait behind it. So a step gives up soon, lets them pass and comes back; also
 * while another process migrates, which it waits for in the same way.
 */
async function betweenTraffic(step: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await step()
    } catch (error) {
      if (classify(error) !== 'contention' || tries === mostLockTries) throw error
      await new Promise((resolve) => setTimeout(resolve, 200 * (0.5 + Math.random())))
    }
  }
}

/**
 * Roles belong to the whole server, and Postgres' advisory locks to one database: two migrations of two databases may meet here. The one
 * that loses a row to the other (XX000, "tuple concurrently updated") or finds the role just made (42710, 23505) tries again.
 */
async function createRoles(pool: pg.Pool, options: MigrateOptions): Promise<void> {
  for (const role of [relayRole, ...options.services.map((service) => roleOf(service.name))]) {
    for (let tries = 1; ; tries++) {
      try {
        await createRole(pool, role, options.passwords?.[role])
        break
      } catch (error) {
        if (tries === 10 || !['XX000', '42710', '23505'].includes(describe(error).code ?? '')) throw error
        await new Promise((resolve) => setTimeout(resolve, 20 * tries * (0.5 + Math.random())))
      }
    }
  }
}

async function createRole(pool: pg.Pool, role: string, password: string | undefined): Promise<void> {
  const known = await pool.query('select 1 from pg_roles where rolname = $1', [role])
  if (known.rowCount === 0) await pool.query(`create role ${role} nosuperuser nobypassrls nocreatedb nocreaterole`)
  // reliability.md D22: no statement, lock or idle transaction of a service lasts long enough to hold the others up.
  const settings = [`statement_timeout = '5s'`, `lock_timeout = '2s'`, `idle_in_transaction_session_timeout = '15s'`]
  for (const setting of settings) await pool.query(`alter role ${role} set ${setting}`)
  if (password !== undefined) await pool.query(`alter role ${role} login password ${pg.escapeLiteral(password)}`)
}

/** All steps of a service's schema: the runtime's, then its own. */
export function migrationsOf(service: Service<never, never, never>): Migration[] {
  const inSchema = ({ name, up }: Migration) => ({ name, up: up.replaceAll('SCHEMA_NAME', schemaOf(service.name)) })
  const runtime = inSchema({ name: '000-runtime', up: runtimeTables })
  const later = [
    identityTables,
    idempotencyTables,
    organizationTables,
    heldJobs,
    effectCalls,
    keyMakers,
    parkedInOrder,
    inSchema(outboxUpkeep),
    chainsByIndex,
    handledFor,
    lanesHeard,
  ]
  return [runtime, ...later, ...service.migrations]
}

async function migrateService(pool: pg.Pool, adminUrl: string, service: Service<never, never, never>): Promise<void> {
  const schema = schemaOf(service.name)
  const role = roleOf(service.name)
  await pool.query(`create schema if not exists ${schema}`)
  const steps = migrationsOf(service)
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const migrator = new Migrator({
    db,
    migrationTableSchema: schema,
    // The runtime's own later steps come, by name, before those that a service has run already.
    allowUnorderedMigrations: true,
    provider: {
      getMigrations: async () =>
        Object.fromEntries(
          steps.map((step) => [
            step.name,
            {
              async up(tx: Kysely<unknown>) {
                await sql.raw(`set local search_path = ${schema}, public`).execute(tx)
                await sql.raw(step.up).execute(tx)
              },
            },
          ]),
        ),
    },
  })
  await betweenTraffic(async () => {
    const { error, results } = await migrator.migrateToLatest()
    if (error === undefined) return
    if (error instanceof Error && classify(error) === 'contention') throw error
    const failed = results?.find((result) => result.status === 'Error')
    throw new Error(`Migration ${failed?.migrationName ?? ''} of ${service.name} failed.`, { cause: error })
  })
  await createJobQueues(adminUrl, service)
  await betweenTraffic(async () => {
    await pool.query(`create index if not exists job_chain on ${jobSchemaOf(service.name)}.job_common ((data->>'correlationId'))`)
  })
  await betweenTraffic(() => secure(pool, schema, role))
}

/** Row-level security and grants, for whatever tables there are: a new table cannot be forgotten. */
async function secure(pool: pg.Pool, schema: string, role: string): Promise<void> {
  const tables = await pool.query<{ name: string; tenant: boolean; part: boolean; appendOnly: boolean }>(
    `select c.relname as name, c.relispartition as part, coalesce(obj_description(c.oid, 'pg_class') = 'append-only', false) as "appendOnly",
       exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped) as tenant
     from pg_class c where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') order by 1`,
    [schema],
  )
  const statements = [`grant usage on schema ${schema} to ${role}, ${relayRole}`]
  for (const { name, tenant, part, appendOnly } of tables.rows) {
    const table = `${schema}."${name}"`
    // Partitions are reached through their parent, whose policies then hold; nobody gets a grant on one.
    if (tenant) statements.push(`alter table ${table} enable row level security`, `alter table ${table} force row level security`)
    if (part || name.startsWith('kysely_')) continue
    // `comment on table … is 'append-only'`: a log that not even its own service may rewrite (reliability.md D44).
    if (appendOnly)
      statements.push(`revoke update, delete on ${table} from ${role}`, `grant select, insert on ${table} to ${role}`)
    else statements.push(`grant select, insert, update, delete on ${table} to ${role}`)
    if (!tenant) continue
    statements.push(
      `drop policy if exists organization on ${table}`,
      `create policy organization on ${table} to ${role} using (${organizationPolicy}) with check (${organizationPolicy})`,
    )
    if (name === 'identity_organizations') statements.push(...closedOrganizationsPolicy(table, role))
    if (name === 'idempotency_keys') statements.push(...idempotencyPolicies(table, role))
    if (name === 'outbox' || name === 'dead_letters') {
      statements.push(
        `drop policy if exists relay on ${table}`,
        `create policy relay on ${table} for select to ${relayRole} using (true)`,
        `grant select on ${table} to ${relayRole}`,
      )
    }
  }
  statements.push(
    `grant select, update on ${schema}.relay_cursor to ${relayRole}`,
    `grant execute on function ${schema}.maintain_outbox(int) to ${role}`,
    `revoke execute on function ${schema}.maintain_outbox(int) from public`,
    `grant usage on schema ${schema}_jobs to ${role}`,
    `grant select, insert, update, delete on all tables in schema ${schema}_jobs to ${role}`,
    `grant usage on all sequences in schema ${schema}_jobs to ${role}`,
    `grant execute on all functions in schema ${schema}_jobs to ${role}`,
  )
  await pool.query(statements.join(';\n'))
}

/** pg-boss' queue settings of one job. Heartbeats are 10 s at the least there. */
function queueOptions(job: Job<never, never, never>) {
  const settings = job.settings
  return {
    policy: settings.policy ?? 'standard',
    retryLimit: settings.retryLimit ?? 5,
    retryDelay: settings.retryDelaySeconds ?? 2,
    retryBackoff: true,
    retryDelayMax: settings.retryDelayMaxSeconds ?? 300,
    expireInSeconds: settings.expireSeconds ?? 120,
    heartbeatSeconds: 10,
    // Long enough to look into what happened, short enough that the queue's tables stay small.
    deleteAfterSeconds: 6 * 3600,
    deadLetter: deadQueue,
  } as const
}

async function createJobQueues(adminUrl: string, service: Service<never, never, never>): Promise<void> {
  const boss = new PgBoss({
    connectionString: adminUrl,
    schema: jobSchemaOf(service.name),
    supervise: false,
    schedule: false,
    max: 1,
  })
  const failures: Error[] = []
  boss.on('error', (error) => failures.push(error))
  await boss.start()
  try {
    await boss.createQueue(deadQueue, { retryLimit: 20, retryDelay: 5, retryBackoff: true, retryDelayMax: 300 })
    for (const job of service.jobs) {
      const { policy, ...settings } = queueOptions(job)
      await boss.createQueue(job.name, { policy, ...settings })
      const queue = await boss.getQueue(job.name)
      if (queue && queue.policy !== policy) {
        throw new Error(
          `Job ${job.name} of ${service.name} has policy ${queue.policy} in the database and ${policy} in code: a queue's policy cannot change, name a new job.`,
        )
      }
      await boss.updateQueue(job.name, settings)
    }
  } finally {
    await boss.stop({ graceful: false, close: true })
  }
  if (failures[0]) throw failures[0]
}
