import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { crashPoint } from './crash.ts'
import { RetryLater } from './errors.ts'
import { inSpan, meters, SpanKind } from './telemetry.ts'
import type { CommitTools, JobContext, Tx } from './types.ts'

/** What came of a call to an outside system. `unknown`: it may or may not have happened (time-out, lost answer). */
export type EffectOutcome =
  | { outcome: 'done'; reference: string; at: Date }
  | { outcome: 'refused'; message: string }
  | { outcome: 'retry'; afterMs: number | null; message: string }
  | { outcome: 'unknown'; message: string }

export type EffectResult =
  | { state: 'done'; reference: string; at: Date; foundByLookup: boolean }
  | { state: 'refused' | 'stopped' | 'unknown'; message: string }

/** What to do when the outside system, asked after a call whose outcome is unknown, does not show it. */
export type WhenAbsent =
  /**
   * Call again, once it was absent twice. `callAgainAfterMs` is how long that system's own list may lag behind what it did:
   * nothing that it does not show before that counts.
   */
  | { callAgainAfterMs: number }
  /** Never call again (a telephone that may have rung): look until then, and settle as `unknown`, which spends the key. */
  | { giveUpAfterMs: number }

export interface EffectSpec<DB> {
  /** Unique in the organization: the same effect asked for twice happens once. */
  key: string
  kind: string
  target: string
  /** What is asked for; only its hash is kept. */
  request: unknown
  whenAbsent: WhenAbsent
  /** Last checks, in the transaction that allows the call, and each further one: limits, consent, whether it still fits. */
  before?(tx: Tx<DB>): Promise<'go' | Objection>
  /** Must heed `signal`: once it aborts, another run may call. */
  call(signal: AbortSignal): Promise<EffectOutcome>
  /** Asks the outside system whether the effect happened since then. */
  lookUp(since: Date): Promise<EffectOutcome | { outcome: 'absent' }>
  /** Writes what follows from the result, in the transaction that records it. */
  settle(tx: Tx<DB>, tools: CommitTools, result: EffectResult): Promise<void>
}

type Objection = { stop: string } | { waitMs: number; message: string }

interface Row {
  state: 'intent' | 'unknown' | 'confirmed' | 'refused' | 'stopped' | 'manual'
  absences: number
  intendedAt: Date
  /** Milliseconds since the intent. */
  ageMs: number
  /** Calls allowed so far, and milliseconds since the last one was allowed, or ended without an answer. */
  calls: number
  quietMs: number
  fresh: boolean
}

/** How long a look-up that found nothing must be confirmed by a second one before the call is made again. */
const absenceConfirmMs = 5_000
/** No call may take longer: until then a run that was allowed its call and noted no result may still be calling. */
const longestCallMs = 15_000
/** A run that stood still for longer between the permission and the call makes none. */
const longestPauseMs = 5_000

/**
 * Does something in an outside system at most once that we know of (reliability.md D16): the intent is committed first, the result
 * after. When a result is missing (crash, time-out), the outside system is asked; only when it says twice, five seconds apart and
 * no sooner than its list can know, that nothing happened, and no call can be under way any more, is the call allowed again, after
 * the same last checks. Throws RetryLater when the job must come back; after the job's last try an outcome that is still unknown is
 * settled as `unknown`, for a person. Settling ends the run: nothing may be committed after it.
 */
export async function performEffect<App, DB, Data>(
  context: JobContext<App, DB, Data>,
  spec: EffectSpec<DB>,
): Promise<EffectResult | 'settled before'> {
  const pausedMs = stopwatch()
  return carryOut(await context.commit((tx) => noteIntent(tx, { context, spec })), pausedMs)
}

/** An effect, and on whose behalf it is performed: the run itself, or another chain of causes (`onBehalfOf`). */
export interface PreparedEffect<App, DB, Data> {
  context: JobContext<App, DB, Data>
  spec: EffectSpec<DB>
}

/**
 * As `performEffect`, of an effect that is decided on in the transaction that records its intent: what must be read for that costs no
 * transaction of its own. `prepare` changes nothing; when it answers undefined, nothing was done and the run may go on.
 */
export async function prepareAndPerform<App, DB, Data>(
  run: JobContext<App, DB, Data>,
  prepare: (tx: Tx<DB>) => Promise<PreparedEffect<App, DB, Data> | undefined>,
): Promise<EffectResult | 'settled before' | 'nothing to do'> {
  const pausedMs = stopwatch()
  const intent = await run.commit(async (tx) => {
    const prepared = await prepare(tx)
    return prepared && noteIntent(tx, prepared)
  })
  return intent === undefined ? 'nothing to do' : carryOut(intent, pausedMs)
}

interface Intent<App, DB, Data> extends PreparedEffect<App, DB, Data> {
  row: Row
  check: 'go' | 'settled' | Objection
}

/** Milliseconds since now by the clock that went further: one stands still while a machine sleeps, the other may be set. */
function stopwatch(): () => number {
  const [monotonic, wall] = [performance.now(), Date.now()]
  return () => Math.max(performance.now() - monotonic, Date.now() - wall)
}

/** Records that the effect is to happen, unless it has been settled or a last check speaks against it. */
async function noteIntent<App, DB, Data>(tx: Tx<DB>, effect: PreparedEffect<App, DB, Data>): Promise<Intent<App, DB, Data>> {
  const { context, spec } = effect
  const row = await recordIntent(tx, context, spec)
  if (row.state !== 'intent' && row.state !== 'unknown') return { ...effect, row, check: 'settled' }
  // A call may be under way or done already: first the outside system must tell.
  if (!row.fresh) return { ...effect, row, check: 'go' }
  const check = (await spec.before?.(tx)) ?? 'go'
  if (check !== 'go') await forgetIntent(tx, context.organizationId, spec.key)
  return { ...effect, row, check }
}

async function carryOut<App, DB, Data>(
  intent: Intent<App, DB, Data>,
  pausedMs: () => number,
): Promise<EffectResult | 'settled before'> {
  if (intent.check === 'settled') return 'settled before'
  if (intent.check === 'go') crashPoint('effect.after_intent')
  if (intent.row.fresh) return actOn(intent, pausedMs)
  const found = await findOut(intent)
  if (found !== 'absent') return settle(intent, found)
  const pausedAgainMs = stopwatch()
  return actOn(await intent.context.commit((tx) => allowAgain(tx, intent)), pausedAgainMs)
}

/** What became of an earlier call: a result, or `absent` for certain. Throws RetryLater when nobody can tell yet. */
async function findOut<App, DB, Data>(intent: Intent<App, DB, Data>): Promise<EffectResult | 'absent'> {
  const { context, spec, row } = intent
  const found = await traced(intent, 'look up', () => spec.lookUp(row.intendedAt))
  if (found.outcome === 'done') return { state: 'done', reference: found.reference, at: found.at, foundByLookup: true }
  if (found.outcome !== 'absent') return unknownOr(intent, found.outcome === 'retry' ? found.afterMs : null, found.message)
  if ('giveUpAfterMs' in spec.whenAbsent) return unknownOr(intent, absenceConfirmMs, 'The outside system does not show it.')
  const underWayMs = row.state === 'intent' ? longestCallMs : 0
  const earlyMs = spec.whenAbsent.callAgainAfterMs + underWayMs - row.quietMs
  if (earlyMs > 0) return unknownOr(intent, earlyMs, 'The outside system does not show it, and need not do so yet.')
  if (row.absences > 0) return 'absent'
  const message = 'The outside system does not show it; it is asked once more before a new call.'
  await context.commit((tx) => setState(tx, intent, { state: 'unknown', absences: 1, detail: message }))
  return unknownOr(intent, absenceConfirmMs, message)
}

/** The call may be made again, if the last checks still allow it and no other run was allowed one meanwhile. */
async function allowAgain<App, DB, Data>(tx: Tx<DB>, intent: Intent<App, DB, Data>): Promise<Intent<App, DB, Data>> {
  const { context, spec, row } = intent
  const { rows } = await sql<{ calls: number }>`
    update effects set state = 'intent', absences = 0, calls = calls + 1, last_call_at = now(), detail = 'absent at two look-ups'
    where organization_id = ${context.organizationId} and effect_key = ${spec.key} and state = 'unknown' and calls = ${row.calls}
    returning calls`.execute(tx)
  if (!rows[0]) return { ...intent, check: { waitMs: absenceConfirmMs, message: 'Another run took it up meanwhile.' } }
  const check = (await spec.before?.(tx)) ?? 'go'
  if (check !== 'go') await forgetIntent(tx, context.organizationId, spec.key)
  return { ...intent, row: { ...row, calls: rows[0].calls }, check }
}

/** Does what the last check decided. */
async function actOn<App, DB, Data>(intent: Intent<App, DB, Data>, pausedMs: () => number): Promise<EffectResult> {
  const { context, spec, check } = intent
  if (typeof check === 'object') {
    if ('waitMs' in check) throw new RetryLater(check.message, { afterMs: check.waitMs })
    return settle(intent, { state: 'stopped', message: check.stop })
  }
  if (pausedMs() > longestPauseMs) {
    await context.commit((tx) => forgetCall(tx, intent))
    throw new RetryLater('This process stood still between the permission and the call: nothing was called.', { afterMs: 0 })
  }
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(Math.round(longestCallMs - pausedMs()))])
  const result = await traced(intent, 'call', () => spec.call(signal))
  crashPoint('effect.after_call')
  meters.effects().add(1, { kind: spec.kind, outcome: result.outcome })
  switch (result.outcome) {
    case 'done':
      return settle(intent, { state: 'done', reference: result.reference, at: result.at, foundByLookup: false })
    case 'refused':
      return settle(intent, { state: 'refused', message: result.message })
    case 'retry': {
      // The outside system said that it did not take it: there is nothing to look up, the next try starts afresh.
      if (isLastTry(context)) return settle(intent, { state: 'refused', message: result.message })
      await context.commit((tx) => forgetIntent(tx, context.organizationId, spec.key))
      throw new RetryLater(result.message, result.afterMs === null ? {} : { afterMs: result.afterMs })
    }
    case 'unknown':
      await context.commit((tx) => setState(tx, intent, { state: 'unknown', absences: 0, detail: result.message, ended: true }))
      return settle(intent, unknownOr(intent, 1_000, result.message))
  }
}

const isLastTry = ({ attempt, attempts }: { attempt: number; attempts: number }) => attempt >= attempts

/** For as long as there are tries, and until the effect's own deadline, somebody comes back to find out. */
function unknownOr<App, DB, Data>(
  { context, spec: { whenAbsent }, row }: Intent<App, DB, Data>,
  afterMs: number | null,
  message: string,
): EffectResult {
  const isTooLate = 'giveUpAfterMs' in whenAbsent && row.ageMs >= whenAbsent.giveUpAfterMs
  if (isTooLate || isLastTry(context)) return { state: 'unknown', message }
  throw new RetryLater(`The outcome is unknown: ${message}`, afterMs === null ? {} : { afterMs })
}

async function traced<App, DB, Data, T extends { outcome: string }>(
  { spec }: Intent<App, DB, Data>,
  step: string,
  work: () => Promise<T>,
): Promise<T> {
  return inSpan(`${spec.kind} ${step}`, { kind: SpanKind.CLIENT, attributes: { 'parley.effect.key': spec.key } }, work)
}

async function settle<App, DB, Data>(intent: Intent<App, DB, Data>, result: EffectResult): Promise<EffectResult> {
  await intent.context.finish(async (tx, tools) => {
    const recorded = setState(tx, intent, {
      state: result.state === 'done' ? 'confirmed' : result.state === 'unknown' ? 'manual' : result.state,
      absences: 0,
      detail: result.state === 'done' ? null : result.message,
      reference: result.state === 'done' ? result.reference : null,
      foundByLookup: result.state === 'done' && result.foundByLookup,
    })
    // Sent together: the record does not wait for its answer before what follows from it.
    await Promise.all([recorded, intent.spec.settle(tx, tools, result)])
    crashPoint('effect.before_record')
  })
  crashPoint('effect.after_record')
  return result
}

interface StateChange {
  state: Row['state']
  absences: number
  detail: string | null
  reference?: string | null
  foundByLookup?: boolean
  /** A call ended with this, and nobody knows how: how long the outside system may still hide it counts from now. */
  ended?: boolean
}

async function setState<App, DB, Data>(tx: Tx<DB>, { context, spec }: Intent<App, DB, Data>, change: StateChange): Promise<void> {
  const settled = change.state !== 'intent' && change.state !== 'unknown'
  await sql`
    insert into effects (organization_id, effect_key, kind, target, state, request_sha256, reference, found_by_lookup, absences, detail, settled_at, correlation_id)
    values (${context.organizationId}, ${spec.key}, ${spec.kind}, ${spec.target}, ${change.state}, ${hash(spec.request)}, ${change.reference ?? null},
      ${change.foundByLookup ?? false}, ${change.absences}, ${change.detail?.slice(0, 1_000) ?? null}, ${settled ? sql`now()` : null}, ${context.correlationId})
    on conflict (organization_id, effect_key) do update set state = excluded.state, absences = excluded.absences, detail = excluded.detail,
      last_call_at = case when ${change.ended ?? false}::boolean then now() else effects.last_call_at end,
      reference = coalesce(excluded.reference, effects.reference), found_by_lookup = excluded.found_by_lookup, settled_at = excluded.settled_at`.execute(
    tx,
  )
}

const hash = (request: unknown) => createHash('sha256').update(JSON.stringify(request)).digest('hex')

async function recordIntent<App, DB, Data>(tx: Tx<DB>, context: JobContext<App, DB, Data>, spec: EffectSpec<DB>): Promise<Row> {
  const result = await sql<Row>`
    insert into effects (organization_id, effect_key, kind, target, state, request_sha256, correlation_id)
    values (${context.organizationId}, ${spec.key}, ${spec.kind}, ${spec.target}, 'intent', ${hash(spec.request)}, ${context.correlationId})
    on conflict (organization_id, effect_key) do update set tries = effects.tries + 1
    returning state, absences, intended_at, calls, (extract(epoch from now() - intended_at) * 1000)::float8 as age_ms,
      (extract(epoch from now() - last_call_at) * 1000)::float8 as quiet_ms, (xmax = 0) as fresh`.execute(tx)
  const row = result.rows[0]
  if (!row) throw new Error('Recording an intent answered nothing.')
  return row
}

/** A person asks for the effect again: the next call of performEffect starts from nothing. */
export async function forgetIntent<DB>(tx: Tx<DB>, organizationId: string, key: string): Promise<void> {
  await sql`delete from effects where organization_id = ${organizationId} and effect_key = ${key}`.execute(tx)
}

/** Whether the effect may have happened: an intent of it was noted, whatever became of that. */
export async function wasIntended<DB>(tx: Tx<DB>, organizationId: string, key: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from effects where organization_id = ${organizationId} and effect_key = ${key}`.execute(tx)
  return rows.length > 0
}

/** The call that was allowed was not made. Only this permission is given back: another run may have one by now. */
async function forgetCall<App, DB, Data>(tx: Tx<DB>, { context, spec, row }: Intent<App, DB, Data>): Promise<void> {
  await sql`
    delete from effects where organization_id = ${context.organizationId} and effect_key = ${spec.key} and state = 'intent'
      and calls = ${row.calls}`.execute(tx)
}
