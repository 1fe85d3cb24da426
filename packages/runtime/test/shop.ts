import { defineEvent, Id } from '@parley/contracts'
import { sql } from 'kysely'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { defineService, kit, number, Permanent, RetryLater, type ServiceDatabase } from '../src/index.ts'

/** A service small enough to hold in the head, for the runtime's own tests: it counts what it is told, per counter, in order. */
export interface CounterApp {
  /** What tests change to make handlers and jobs misbehave. */
  faults: {
    handler?: (note: string) => void | Promise<void>
    job?: (note: string, attempt: number) => void | Promise<void>
    /** Called before and after the commit of a tally. */
    tally?: (when: 'before' | 'after', note: string) => void | Promise<void>
  }
  database: ServiceDatabase<CounterTables>
  runs: { note: string; started: number; ended: number }[]
  now(): Date
}
export interface CounterTables {
  notes: { organizationId: string; id: string; counter: string; note: string; by: string }
}

export const counterBumped = defineEvent({
  type: 'counter.bumped',
  version: 1,
  key: 'counter',
  summary: 'A test counter was bumped.',
  data: z.object({ counter: z.string().min(1).max(100), note: z.string().max(1_000) }),
})
export const counterNoted = defineEvent({
  type: 'counter.noted',
  version: 1,
  key: 'counter',
  summary: 'A test counter wrote a note.',
  data: z.object({ counter: z.string().min(1).max(100), note: z.string().max(1_000) }),
})

const { on, job, route } = kit<CounterApp, CounterTables>()

export const noteLater = job(
  'note-later',
  z.object({ counter: z.string(), note: z.string() }),
  { policy: 'singleton', retryLimit: 2, retryDelaySeconds: 1, concurrency: 4 },
  async ({ data, app, commit, attempt, jobId }) => {
    const started = performance.now()
    await app.faults.job?.(data.note, attempt)
    await commit(async (tx, { emit }) => {
      await sql`insert into notes (organization_id, id, counter, note, by) select current_setting('app.organization_id')::uuid, gen_random_uuid(), ${data.counter}, ${data.note}, ${`job ${jobId}`}`.execute(
        tx,
      )
      emit(counterNoted, data)
    })
    app.runs.push({ note: data.note, started, ended: performance.now() })
  },
)

export const mergeLater = job(
  'merge-later',
  z.object({ counter: z.string() }),
  { policy: 'stately' },
  async ({ data, app, commit }) => {
    const started = performance.now()
    await app.faults.job?.('merge', 1)
    await commit(async (tx) => {
      await sql`insert into notes (organization_id, id, counter, note, by)
      select current_setting('app.organization_id')::uuid, gen_random_uuid(), ${data.counter}, count(*)::text, 'merge' from notes where counter = ${data.counter} and by = 'handler'`.execute(
        tx,
      )
    })
    app.runs.push({ note: 'merge', started, ended: performance.now() })
  },
)

const countBump = on('count-bump', counterBumped, async ({ event, tx, app, emit, later }) => {
  await sql`insert into notes (organization_id, id, counter, note, by) values (${event.organizationId}, ${event.id}, ${event.data.counter}, ${event.data.note}, 'handler')`.execute(
    tx,
  )
  await app.faults.handler?.(event.data.note)
  if (event.data.note.startsWith('job')) later(noteLater, event.data, { key: event.data.counter })
  if (event.data.note.startsWith('merge')) later(mergeLater, { counter: event.data.counter }, { key: event.data.counter })
  if (event.data.note.startsWith('emit')) emit(counterNoted, event.data)
  if (event.data.note === 'permanent') throw new Permanent('This note will never do.')
  if (event.data.note === 'not yet') throw new RetryLater('Not yet.')
})

export const listNotes = route({
  method: 'GET',
  path: '/v1/notes',
  also: ['GET /rest/v1/notes'],
  summary: 'Notes of one counter.',
  scope: 'messages:read',
  query: z.strictObject({ counter: z.string().min(1) }),
  reply: z.object({ notes: z.array(z.string()) }),
  async run({ query, read }) {
    return read(async (tx) => {
      const rows = await tx.selectFrom('notes').select('note').where('counter', '=', query.counter).orderBy('id').execute()
      return { notes: rows.map((row) => row.note) }
    })
  },
})

export const addNote = route({
  method: 'POST',
  path: '/v1/notes',
  summary: 'Bump a counter.',
  scope: 'messages:write',
  body: z.strictObject({ counter: z.string().min(1).max(100), note: z.string().max(1_000) }),
  reply: z.object({ done: z.boolean() }),
  status: 201,
  async run({ body, commit }) {
    await commit(async (_tx, { emit }) => emit(counterBumped, body))
    return { done: true }
  },
})

/** Answers something else each time, like a secret that is shown once; `organizationId`: done in another organization than the caller's. */
const tally = route({
  method: 'POST',
  path: '/v1/tallies',
  also: ['POST /functions/v1/tally/:room'],
  summary: 'Bump a counter, and be told a secret.',
  scope: 'messages:write',
  query: z.strictObject({ loud: z.string().optional() }),
  body: z.strictObject({ counter: z.string().min(1).max(100), note: z.string().max(1_000), organizationId: Id.optional() }),
  reply: z.object({ secret: z.string() }),
  status: 201,
  async run({ body: { organizationId, ...said }, app, caller, from, requestId, commit }) {
    await app.faults.tally?.('before', said.note)
    const call = { requestId, actor: caller.actor, from, action: 'POST /v1/tallies' }
    if (organizationId === undefined) await commit(async (_tx, { emit }) => emit(counterBumped, said))
    else await app.database.commit({ organizationId, call }, async (_tx, { emit }) => emit(counterBumped, said))
    await app.faults.tally?.('after', said.note)
    return { secret: `shown-once-${randomUUID()}` }
  },
})

const ring = route({
  method: 'POST',
  path: '/v1/bell',
  summary: 'Ring at the door.',
  scope: 'public',
  reply: z.object({ secret: z.string() }),
  async run() {
    return { secret: randomUUID() }
  },
})

export const counter = defineService<CounterApp, CounterTables, { COUNTER_SPEED: number }>({
  name: 'counter',
  summary: 'Counts, for tests.',
  config: z.object({ COUNTER_SPEED: number(1) }),
  routes: [listNotes, addNote, tally, ring],
  handlers: [countBump],
  jobs: [noteLater, mergeLater],
  states: [counterBumped, counterNoted],
  migrations: [
    {
      name: '001-notes',
      up: `create table notes (organization_id uuid not null, id uuid not null, counter text not null, note text not null, by text not null, place bigint generated always as identity, primary key (organization_id, id));`,
    },
  ],
  async open({ now, database }) {
    return { faults: {}, runs: [], now, database }
  },
})

export const anyId = Id
