import { defineEvent } from '@parley/contracts'
import { sql } from 'kysely'
import { z } from 'zod'
import { defineService, type JobContext, type JobRef, kit, type LaterOptions, type Tx } from '../src/index.ts'
import type { World } from '../src/testing/index.ts'

/** A service whose jobs do what the test that asked for them says, one job per policy. */
export type Task = { task: string; text?: string | undefined }
export type Work = (context: JobContext<WorkshopApp, WorkshopTables, Task>) => Promise<void>
export interface WorkshopApp {
  /** What a run of this task does; several tests work side by side, each with tasks of its own. */
  work: Map<string, Work>
}
export interface WorkshopTables {
  marks: { organizationId: string; task: string; text: string }
}

export const workDone = defineEvent({
  type: 'work.done',
  version: 1,
  key: 'task',
  summary: 'A test job did its work.',
  data: z.object({ task: z.string().max(100), text: z.string().max(1_000) }),
})

const { job } = kit<WorkshopApp, WorkshopTables>()
const Task = z.object({ task: z.string(), text: z.string().optional() })
const perform: Work = async (context) => {
  const work = context.app.work.get(context.data.task)
  if (!work) throw new Error(`No test says what '${context.data.task}' does.`)
  await work(context)
}
const quick = { retryLimit: 2, retryDelaySeconds: 1, concurrency: 16 } as const

export const standardWork = job('standard-work', Task, { ...quick, policy: 'standard' }, perform)
export const singletonWork = job('singleton-work', Task, { ...quick, policy: 'singleton' }, perform)
export const statelyWork = job('stately-work', Task, { ...quick, policy: 'stately' }, perform)
export const strictWork = job('strict-work', Task, { ...quick, policy: 'key_strict_fifo' }, perform)
/** Has no second try. */
export const onlyWork = job('only-work', Task, { ...quick, retryLimit: 0 }, perform)
/** Acts outside, so that it waits while its organization is closed. */
export const outwardWork = job('outward-work', Task, { ...quick, policy: 'stately', outward: true }, perform)
/** Has tries enough for slow look-ups. */
export const patientWork = job('patient-work', Task, { ...quick, retryLimit: 8 }, perform)

export const workshop = defineService<WorkshopApp, WorkshopTables, Record<string, never>>({
  name: 'workshop',
  summary: 'Works, for tests.',
  config: z.object({}),
  jobs: [standardWork, singletonWork, statelyWork, strictWork, onlyWork, patientWork, outwardWork],
  states: [workDone],
  migrations: [
    {
      name: '001-marks',
      up: `create table marks (organization_id uuid not null, task text not null, text text not null, place bigint generated always as identity primary key);`,
    },
  ],
  async open() {
    return { work: new Map() }
  },
})

export const markOn = (tx: Tx<WorkshopTables>, task: string, text: string) =>
  sql`insert into marks (organization_id, task, text) values (current_setting('app.organization_id')::uuid, ${task}, ${text})`.execute(
    tx,
  )

/** What the tests of one world need to say to it. */
export function workshopOf(world: World) {
  const service = world.running.services[0]
  if (!service) throw new Error('The workshop does not run.')
  const app = service.app as WorkshopApp
  let tasks = 0
  return {
    database: service.database,
    /** A task that no other test has, doing `work`. */
    task(work: Work): string {
      const name = `task-${tasks++}`
      app.work.set(name, work)
      return name
    },
    ask: (job: JobRef<Task>, task: string, options: LaterOptions & { text?: string } = {}) =>
      service.database.commit({ organizationId: world.organizationId }, async (_tx, { later }) => {
        const { text, ...rest } = options
        later(job, text === undefined ? { task } : { task, text }, rest)
      }),
    marks: async (task: string) =>
      (await world.sql<{ text: string }>(`select text from workshop.marks where task = $1 order by place`, [task])).map(
        (row) => row.text,
      ),
    /** Its rows in the queue, oldest first. */
    rows: (task: string) =>
      world.sql<{ id: string; state: string; retryCount: number; heartbeatOn: Date | null }>(
        `select id, state, retry_count as "retryCount", heartbeat_on as "heartbeatOn" from workshop_jobs.job_common
         where data->'data'->>'task' = $1 and name <> 'dead' order by created_on`,
        [task],
      ),
    /** Its dead letters, as the operator's route shows them. */
    async dead(task: string) {
      const list = await world.call('GET', '/v1/ops/workshop/dead-letters?limit=100')
      const letters = await Promise.all(
        list.body.items.map(
          async (item: { id: string }) => (await world.call('GET', `/v1/ops/workshop/dead-letters/${item.id}`)).body,
        ),
      )
      return letters.filter((letter) => letter.payload.data.task === task)
    },
  }
}

/** A promise that the test opens. */
export function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open: () => open(), opened }
}
