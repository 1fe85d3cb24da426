import { PgBoss } from 'pg-boss'
import { crashPoint } from './crash.ts'
import type { Database, Session } from './db.ts'
import { classify, describe, LeaseLost, Permanent, RetryLater } from './errors.ts'
import type { Logger } from './log.ts'
import { deadQueue, jobSchemaOf } from './schema.ts'
import { recordDeadJob, recordHeldJob } from './dead-letters.ts'
import { holdClosed, isOfClosed } from './held-jobs.ts'
import { currentTraceparent, inSpan, meters, observe, SpanKind } from './telemetry.ts'
import type { CommitFn, Job, JobContext, JobPolicy, JobSettings } from './types.ts'
import { divisionByZero } from './leases.ts'
import { type JobInserter, jobInserter, type JobPayload } from './job-insert.ts'
import { Unit } from './unit.ts'

interface Claimed {
  id: string
  singleton_key: string | null
  retry_count: number
  retry_limit: number
  expire_seconds: number
  data: JobPayload
  /** Of a job that acts outside: its organization was closed when it was claimed. */
  closed?: boolean
  /** Its last commit has completed it. */
  ended?: boolean
}

export interface JobRunner {
  inserter: JobInserter
  /** Looks for due runs now; `delayMs` later for those that wait that long. */
  wake(queue: string, delayMs?: number): void
  /** Nothing is running here and nothing is due. */
  idle(): Promise<boolean>
  stop(graceMs: number): Promise<void>
}

export interface JobRunnerOptions {
  serviceName: string
  jobs: readonly Job<never, never, never>[]
  database: Database<never>
  app: unknown
  log: Logger
  /** Called after a commit that wrote events or asked for jobs. */
  onCommitted(unit: Unit): void
  now(): number
  pollMs: number
}

/**
 * Runs a service's jobs. The queues are pg-boss' (tables, policies, heartbeats, retries, expiry); fetching is our own statement,
 * because pg-boss' batch fetch of a keyed queue fails as a whole while one of its keys is running (docs/decisions/0004).
 */
export async function startJobs(options: JobRunnerOptions): Promise<JobRunner> {
  const { serviceName, database, log } = options
  const schema = jobSchemaOf(serviceName)
  const boss = new PgBoss({
    db: { executeSql: async (text, values) => ({ rows: await database.query<Record<string, unknown>>(text, values ?? []) }) },
    schema,
    migrate: false,
    schedule: false,
    supervise: true,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    maintenanceIntervalSeconds: 600,
    reindex: false,
    monitorVacuum: false,
  })
  boss.on('error', (error) => log.warn({ err: describe(error) }, 'the job queue reported an error'))
  await boss.start()

  /** Claims due runs of one queue: `$1` its name, `$2` how many at most. */
  const fetchText = ({ policy = 'standard', outward = false }: JobSettings) => `
    with due as (
      select j.id, j.singleton_key, j.created_on, j.priority from ${schema}.job_common j
      where j.name = $1 and j.state < 'active' and not j.blocked and j.start_after <= now() ${freeKeys(policy)}
      order by j.priority desc, j.created_on
      limit $2
      for update of j skip locked
    ), first as (
      select id from (
        select id, row_number() over (partition by coalesce(singleton_key, id::text) order by priority desc, created_on, id) as place from due
      ) ranked where place = 1
    )
    update ${schema}.job_common j
    set state = 'active', started_on = now(), heartbeat_on = now(), retry_count = case when started_on is not null then retry_count + 1 else retry_count end
    from first where j.name = $1 and j.id = first.id
    returning j.id, j.singleton_key, j.retry_count, j.retry_limit, j.expire_seconds, j.data${outward ? `, ${isOfClosed(serviceName)} as closed` : ''}`

  /** Leaves out keys that are taken. Each policy is written out, because pg-boss' index for it names the policy: any other wording scans the table. */
  function freeKeys(policy: JobPolicy): string {
    switch (policy) {
      case 'standard':
        return ''
      case 'singleton':
        return `and not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'active' and a.policy = 'singleton' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, ''))`
      case 'stately':
        // A failed run comes before the one that waits behind it: two of them could not both wait for a next try.
        return `and not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'active' and a.policy = 'stately' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, ''))
        and (j.state <> 'created' or not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'retry' and a.policy = 'stately' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, '')))`
      case 'key_strict_fifo':
        return `and not exists (
          select 1 from ${schema}.job_common b
          where b.name = $1 and b.singleton_key = j.singleton_key and b.policy = 'key_strict_fifo' and b.id <> j.id
            and b.state in ('active', 'retry', 'failed'))
        and not exists (
          select 1 from ${schema}.job_common b
          where b.name = $1 and b.singleton_key = j.singleton_key and b.policy = 'key_strict_fifo' and b.state < 'active' and not b.blocked
            and b.state = 'created' and j.state = 'created' and (b.created_on, b.id) < (j.created_on, j.id))`
    }
  }

  const abort = new AbortController()
  let stopping = false
  const loops = options.jobs.map((job) => startQueue(job))
  const deadLoop = startDeadQueue()
  const beat = setInterval(() => void heartbeat(), 4_000)
  const oldest = new Map<string, number>()
  const sampler = setInterval(() => void sampleOldest(), 5_000)
  const gauges = [
    observe('parley.jobs.running', 'Job runs under way.', () =>
      loops.map((loop) => ({ value: loop.running.size, attributes: { service: serviceName, job: loop.name } })),
    ),
    observe('parley.jobs.oldest_due', 'Seconds since the oldest waiting run of a job was due.', () =>
      loops.map((loop) => ({ value: oldest.get(loop.name) ?? 0, attributes: { service: serviceName, job: loop.name } })),
    ),
  ]

  async function sampleOldest(): Promise<void> {
    try {
      const due = await database.query<{ name: string; age: number }>(
        `select name, extract(epoch from now() - min(start_after))::float8 as age from ${schema}.job_common
         where state < 'active' and not blocked and start_after <= now() group by name`,
      )
      oldest.clear()
      for (const row of due) oldest.set(row.name, row.age)
    } catch (error) {
      log.info({ err: describe(error) }, 'the age of waiting jobs could not be read')
    }
  }

  async function heartbeat(): Promise<void> {
    for (const loop of loops) {
      const runs = [...loop.running.values()]
      if (runs.length === 0) continue
      try {
        await boss.touch(
          loop.name,
          runs.map((run) => ({ id: run.id, retryCount: run.retry_count })),
        )
      } catch (error) {
        log.warn({ err: describe(error), job: loop.name }, 'a heartbeat could not be written')
      }
    }
  }

  function startQueue(job: Job<never, never, never>) {
    const concurrency = job.settings.concurrency ?? 8
    const claim = fetchText(job.settings)
    const running = new Map<string, Claimed>()
    let finished: { id: string; retryCount: number }[] = []
    let settling: Promise<void> | undefined
    let wanted = true
    let fetching = false
    let timer: NodeJS.Timeout | undefined

    /** Runs that end together are settled together. */
    function settle(run: Claimed): Promise<void> {
      finished.push({ id: run.id, retryCount: run.retry_count })
      settling ??= new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
        const batch = finished
        finished = []
        settling = undefined
        await boss.complete(job.name, batch)
      })
      return settling
    }

    async function runOne(run: Claimed): Promise<void> {
      const started = performance.now()
      let outcome = 'done'
      try {
        if (run.closed && (await hold(job, run))) outcome = 'held'
        else {
          await inSpan(
            `job ${job.name}`,
            { kind: SpanKind.CONSUMER, parent: run.data.traceparent, attributes: { 'parley.job.id': run.id } },
            () => execute(job, run),
          )
          crashPoint('job.before_settle')
          if (!run.ended) await settle(run)
        }
      } catch (error) {
        outcome = await fail(job, run, error)
      } finally {
        // After a lost lease a later try of the same job may run here already: that entry is not ours.
        if (running.get(run.id) === run) running.delete(run.id)
        // Its end may have freed its key for the next run.
        if (run.singleton_key !== null) wanted = true
        meters.jobRuns().record((performance.now() - started) / 1000, { service: serviceName, job: job.name, outcome })
        pump()
      }
    }

    function pump(): void {
      if (stopping || fetching || !wanted || running.size >= concurrency) return
      wanted = false
      fetching = true
      const room = Math.min(concurrency - running.size, 32)
      database
        .query<Claimed>(claim, [job.name, room])
        .then((claimed) => {
          for (const run of claimed) {
            running.set(run.id, run)
            void runOne(run)
          }
          if (claimed.length > 0) wanted = true
        })
        .catch((error: unknown) => {
          // Two replicas claimed one key at once: the loser's statement changed nothing, the next look will do.
          if (describe(error).code !== '23505') log.warn({ err: describe(error), job: job.name }, 'jobs could not be fetched')
          schedule(200)
        })
        .finally(() => {
          fetching = false
          pump()
        })
    }

    function wake(): void {
      wanted = true
      pump()
    }
    function schedule(delayMs: number): void {
      // Timers are for precision; the poll finds what is due in hours, and no timer holds more than 24 days.
      if (stopping || delayMs > 3_600_000) return
      const early = setTimeout(wake, delayMs)
      early.unref()
    }
    const poll = () => {
      timer = setTimeout(
        () => {
          wake()
          poll()
        },
        options.pollMs * (0.8 + Math.random() * 0.4),
      )
    }
    poll()
    pump()
    return {
      name: job.name,
      running,
      wake,
      schedule,
      /** Runs are under way, or just being claimed. */
      busy: () => running.size > 0 || fetching || settling !== undefined,
      idle: () => running.size === 0 && !fetching && !wanted && settling === undefined,
      stop: () => clearTimeout(timer),
    }
  }

  async function execute(job: Job<never, never, never>, run: Claimed): Promise<void> {
    const { organizationId } = run.data
    const signal = AbortSignal.any([AbortSignal.timeout(run.expire_seconds * 1000), abort.signal])
    const traceparent = currentTraceparent()
    crashPoint('job.after_lease')
    await job.run(contextOf(run.data.correlationId))

    function contextOf(correlationId: string): JobContext<never, never, never> {
      const committing =
        (guard: (session: Session<never>) => void): CommitFn<never> =>
        async (work) => {
          const unit = new Unit(serviceName, options.now)
          const result = await database.transaction(organizationId, async (session) => {
            guard(session)
            const value = await work(session.tx, unit.tools({ organizationId, correlationId, causationId: run.id }))
            unit.flush(session, inserter)
            return value
          })
          options.onCommitted(unit)
          return result
        }
      return {
        data: job.schema.parse(run.data.data),
        organizationId,
        app: options.app as never,
        read: (work) => database.read(organizationId, (session) => work(session.tx)),
        commit: committing((session) => holdLease(session, job.name, run)),
        async finish(work) {
          const result = await committing((session) => endRun(session, job.name, run))(work)
          run.ended = true
          return result
        },
        attempt: run.retry_count + 1,
        attempts: run.retry_limit + 1,
        signal,
        jobId: run.id,
        correlationId,
        onBehalfOf: contextOf,
        traceHeaders: traceparent === undefined ? {} : { traceparent },
        log: log.child({ job: job.name, jobId: run.id }),
      }
    }
  }

  const ofThisTry = `name = $1 and id = $2 and state = 'active' and retry_count = $3`
  /** The commit fails with LeaseLost unless this try still holds the job; the row stays locked until it ends. */
  const holdLease = (session: Session<never>, queue: string, run: Claimed) =>
    guardRun(session, queue, run, `select 1 from ${schema}.job_common where ${ofThisTry} for no key update`)
  /** As `holdLease`, and the job is completed by the same commit. */
  const endRun = (session: Session<never>, queue: string, run: Claimed) =>
    guardRun(
      session,
      queue,
      run,
      `update ${schema}.job_common set state = 'completed', completed_on = now(), output = null where ${ofThisTry} returning 1`,
    )

  /** `held` finds the run's row, if it is still this try's. */
  function guardRun(session: Session<never>, queue: string, run: Claimed, held: string): void {
    // Dividing by zero fails the transaction when the job is not ours, so that nothing has to wait for the answer to this.
    session.send(
      `with held as materialized (${held}) select 1 / (case when exists (select 1 from held) then 1 else 0 end)`,
      [queue, run.id, run.retry_count],
      (error) =>
        describe(error).code === divisionByZero
          ? new LeaseLost(`Run ${run.retry_count + 1} of job ${run.id} no longer holds it.`)
          : error,
    )
  }

  /** Ends a run of a closed organization and keeps what it was to do; false when the organization has opened meanwhile. */
  async function hold(job: Job<never, never, never>, run: Claimed): Promise<boolean> {
    const { organizationId } = run.data
    const held = await database.transaction(organizationId, async (session) => {
      if (!(await holdClosed(session, organizationId))) return false
      endRun(session, job.name, run)
      const once = job.settings.policy === 'stately'
      await recordHeldJob(session, { job: job.name, jobId: run.id, key: run.singleton_key ?? '', payload: run.data, once })
      return true
    })
    if (held) log.info({ job: job.name, jobId: run.id, organizationId }, 'a job waits: its organization is closed')
    return held
  }

  /** Decides what becomes of a failed run: nothing (not ours any more), a later try, or the dead letters. */
  async function fail(job: Job<never, never, never>, run: Claimed, error: unknown): Promise<string> {
    const what = describe(error)
    if (error instanceof LeaseLost) {
      log.info({ job: job.name, jobId: run.id }, 'a run lost its lease and wrote nothing')
      return 'lease_lost'
    }
    // A run that was cut off because we stop has done nothing wrong: another replica takes it up, however often that happens.
    const kind = abort.signal.aborted ? 'outage' : classify(error)
    const final = kind === 'permanent' || error instanceof Permanent || (kind !== 'outage' && run.retry_count >= run.retry_limit)
    try {
      if (final) {
        await database.transaction(run.data.organizationId, async (session) => {
          endRun(session, job.name, run)
          await recordDeadJob(session, {
            job: job.name,
            jobId: run.id,
            key: run.singleton_key ?? '',
            payload: run.data,
            error: what,
            errorClass: kind,
            attempts: run.retry_count + 1,
          })
        })
        meters.deadLetters().add(1, { service: serviceName, handler: job.name })
        log.error(
          { job: job.name, jobId: run.id, organizationId: run.data.organizationId, err: error, errorClass: kind },
          'a job was given up',
        )
        return 'dead'
      }
      if (kind === 'bug')
        log.error({ job: job.name, jobId: run.id, attempt: run.retry_count + 1, err: error }, 'a job run failed')
      // Being away is no fault of the work: it costs none of its tries.
      if (kind === 'outage') await grantTry(job.name, run)
      await boss.fail(
        job.name,
        { id: run.id, retryCount: run.retry_count },
        { message: what.message.slice(0, 500), code: what.code },
      )
      const afterMs = error instanceof RetryLater ? error.afterMs : undefined
      if (afterMs !== undefined) {
        await database.query(
          `update ${schema}.job_common set start_after = now() + $3 * interval '1 ms' where name = $1 and id = $2 and state = 'retry'`,
          [job.name, run.id, afterMs],
        )
        loops.find((loop) => loop.name === job.name)?.schedule(afterMs + 5)
      }
      return 'retry'
    } catch (failure) {
      // The database is away: the heartbeat lapses and pg-boss hands the job out again.
      log.warn(
        { job: job.name, jobId: run.id, err: describe(failure) },
        'a failed run could not be settled; its lease will lapse',
      )
      return 'unsettled'
    }
  }

  /** One more try for this run than its settings say. */
  async function grantTry(queue: string, run: Claimed): Promise<void> {
    await database.query(
      `update ${schema}.job_common set retry_limit = retry_limit + 1 where name = $1 and id = $2 and state = 'active' and retry_count = $3`,
      [queue, run.id, run.retry_count],
    )
  }

  /** Moves jobs that pg-boss gave up on (their worker died or hung each time) into the dead letters. */
  function startDeadQueue() {
    let busy: Promise<void> = Promise.resolve()
    const look = async () => {
      const claimed = await boss.fetch<JobPayload>(deadQueue, { batchSize: 20, includeMetadata: true })
      for (const job of claimed) {
        const source = job as unknown as { sourceName?: string; sourceId?: string; sourceRetryCount?: number }
        await database.transaction(job.data.organizationId, async (session) => {
          await recordDeadJob(session, {
            job: source.sourceName ?? deadQueue,
            jobId: source.sourceId ?? job.id,
            key: (job as { singletonKey?: string | null }).singletonKey ?? '',
            payload: job.data,
            error: { name: 'Expired', code: undefined, message: 'Its worker died or hung on every try.' },
            errorClass: 'bug',
            attempts: (source.sourceRetryCount ?? 0) + 1,
          })
          // A failed run of a strictly ordered key blocks that key; from here on the dead letter stands for it.
          await session.query(
            `update ${schema}.job_common set state = 'completed' where name = $1 and id = $2 and state = 'failed'`,
            [source.sourceName, source.sourceId],
          )
          await boss.complete(deadQueue, { id: job.id, retryCount: job.retryCount }, null, { db: sessionDb(session) })
        })
        meters.deadLetters().add(1, { service: serviceName, handler: source.sourceName ?? deadQueue })
      }
    }
    const timer = setInterval(() => {
      busy = busy.then(look).catch((error: unknown) => log.warn({ err: describe(error) }, 'given-up jobs could not be recorded'))
    }, options.pollMs * 2)
    return { stop: () => clearInterval(timer), busy: () => busy }
  }

  const inserter = jobInserter(serviceName, options.jobs)
  return {
    inserter,
    wake(queue, delayMs = 0) {
      const loop = loops.find((candidate) => candidate.name === queue)
      if (delayMs <= 0) loop?.wake()
      else loop?.schedule(delayMs + 2)
    },
    async idle() {
      if (!loops.every((loop) => loop.idle())) return false
      const due = await database.query(
        `select 1 from ${schema}.job_common where state < 'completed' and name <> '${deadQueue}' and start_after < now() + interval '30 seconds' limit 1`,
      )
      return due.length === 0
    },
    async stop(graceMs) {
      for (const loop of loops) loop.stop()
      deadLoop.stop()
      const deadline = performance.now() + graceMs
      // No new runs from here on; those under way may finish, then their signal aborts.
      stopping = true
      const noMore = () => loops.every((loop) => !loop.busy())
      while (!noMore() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
      abort.abort(new Error('The process is stopping.'))
      clearInterval(beat)
      await deadLoop.busy()
      clearInterval(sampler)
      for (const stopGauge of gauges) stopGauge()
      await boss.stop({ graceful: false, close: false })
    },
  }
}

const sessionDb = (session: Session<never>) => ({
  executeSql: async (text: string, values?: unknown[]) => ({
    rows: await session.query<Record<string, unknown>>(text, values ?? []),
  }),
})
