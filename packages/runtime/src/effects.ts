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

export interface EffectSpec<DB> {
  /** Unique in the organization: the same effect asked for twice happens once. */
  key: string
  kind: string
  target: string
  /** What is asked for; only its hash is kept. */
  request: unknown
  /** Last checks, in the transaction that records the intent: limits, consent, whether it still fits. */
  before?(tx: Tx<DB>): Promise<'go' | { stop: string } | { waitMs: number; message: string }>
  call(): Promise<EffectOutcome>
  /** Asks the outside system whether the effect happened since then. */
  lookUp(since: Date): Promise<EffectOutcome | { outcome: 'absent' }>
  /** Writes what follows from the result, in the transaction that records it. */
  settle(tx: Tx<DB>, tools: CommitTools, result: EffectResult): Promise<void>
}

interface Row {
  state: 'intent' | 'unknown' | 'confirmed' | 'refused' | 'stopped' | 'manual'
  reference: string | null
  tries: number
  absences: number
  intendedAt: Date
  ageMs: number
  fresh: boolean
}

/** How long a look-up that found nothing must be confirmed by a second one before the call is made again. */
const absenceConfirmMs = 5_000
/** No call may take longer: until then a run that noted its intent and no result may still be calling. */
const longestCallMs = 15_000

/**
 * Does something in an outside system at most once that we know of (reliability.md D16): the intent is committed first, the result
 * after. When a result is missing (crash, time-out), the outside system is asked; only when it says twice, five seconds apart,
 * that nothing happened, and no call can be under way any more, is the call made again. Throws RetryLater when the job must come
 * back; after the job's last try an outcome that is still unknown is settled as `unknown`, for a person. Settling ends the run:
 * nothing may be committed after it.
 */
export async function performEffect<App, DB, Data>(
  context: JobContext<App, DB, Data>,
  spec: EffectSpec<DB>,
): Promise<EffectResult | 'settled before'> {
  return carryOut(await context.commit((tx) => noteIntent(tx, { context, spec })))
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
  const intent = await run.commit(async (tx) => {
    const prepared = await prepare(tx)
    return prepared && noteIntent(tx, prepared)
  })
  return intent === undefined ? 'nothing to do' : carryOut(intent)
}

interface Intent<App, DB, Data> extends PreparedEffect<App, DB, Data> {
  row: Row
  check: 'go' | 'settled' | Exclude<Awaited<ReturnType<NonNullable<EffectSpec<DB>['before']>>>, 'go'>
}

/** Records that the effect is to happen, unless it has been settled or a last check speaks against it. */
async function noteIntent<App, DB, Data>(tx: Tx<DB>, effect: PreparedEffect<App, DB, Data>): Promise<Intent<App, DB, Data>> {
  const { context, spec } = effect
  const row = await recordIntent(tx, context, spec)
  if (row.state !== 'intent' && row.state !== 'unknown') return { ...effect, row, check: 'settled' }
  // A call may be under way or done already: no check may stop it now, only the outside system can tell.
  if (!row.fresh) return { ...effect, row, check: 'go' }
  const check = (await spec.before?.(tx)) ?? 'go'
  if (check !== 'go') await forgetIntent(tx, context.organizationId, spec.key)
  return { ...effect, row, check }
}

async function carryOut<App, DB, Data>(intent: Intent<App, DB, Data>): Promise<EffectResult | 'settled before'> {
  const { context, spec } = intent
  if (intent.check === 'settled') return 'settled before'
  if (typeof intent.check === 'object') {
    if ('waitMs' in intent.check) throw new RetryLater(intent.check.message, { afterMs: intent.check.waitMs })
    return settle({ state: 'stopped', message: intent.check.stop })
  }
  crashPoint('effect.after_intent')
  const lastTry = context.attempt >= context.attempts

  if (!intent.row.fresh) {
    const found = await traced('look up', () => spec.lookUp(intent.row.intendedAt))
    if (found.outcome === 'done') return settle({ state: 'done', reference: found.reference, at: found.at, foundByLookup: true })
    if (found.outcome !== 'absent') return unknownOr(found.outcome === 'retry' ? found.afterMs : null, found.message)
    if (intent.row.state === 'intent' && intent.row.ageMs < longestCallMs)
      return unknownOr(absenceConfirmMs, 'Another run may be calling at this moment.')
    if (intent.row.absences === 0) {
      await context.commit((tx) => setState(tx, { state: 'unknown', absences: 1, detail: 'not found at the first look-up' }))
      if (lastTry)
        return settle({ state: 'unknown', message: 'The outside system does not show it, and there was no time to ask again.' })
      throw new RetryLater('The outcome is unknown; asked once, asking again before a new call.', { afterMs: absenceConfirmMs })
    }
    await context.commit((tx) => setState(tx, { state: 'intent', absences: 0, detail: 'absent at two look-ups, called again' }))
  }

  const result = await traced('call', () => spec.call())
  crashPoint('effect.after_call')
  meters.effects().add(1, { kind: spec.kind, outcome: result.outcome })
  switch (result.outcome) {
    case 'done':
      return settle({ state: 'done', reference: result.reference, at: result.at, foundByLookup: false })
    case 'refused':
      return settle({ state: 'refused', message: result.message })
    case 'retry': {
      // The outside system said that it did not take it: there is nothing to look up, the next try starts afresh.
      if (lastTry) return settle({ state: 'refused', message: result.message })
      await context.commit((tx) => forgetIntent(tx, context.organizationId, spec.key))
      throw new RetryLater(result.message, result.afterMs === null ? {} : { afterMs: result.afterMs })
    }
    case 'unknown':
      await context.commit((tx) => setState(tx, { state: 'unknown', absences: 0, detail: result.message }))
      return unknownOr(1_000, result.message)
  }

  async function unknownOr(afterMs: number | null, message: string): Promise<EffectResult> {
    if (lastTry) return settle({ state: 'unknown', message })
    throw new RetryLater(`The outcome is unknown: ${message}`, afterMs === null ? {} : { afterMs })
  }

  async function traced<T extends { outcome: string }>(step: string, work: () => Promise<T>): Promise<T> {
    return inSpan(`${spec.kind} ${step}`, { kind: SpanKind.CLIENT, attributes: { 'parley.effect.key': spec.key } }, work)
  }

  async function settle(result: EffectResult): Promise<EffectResult> {
    await context.finish(async (tx, tools) => {
      const recorded = setState(tx, {
        state: result.state === 'done' ? 'confirmed' : result.state === 'unknown' ? 'manual' : result.state,
        absences: 0,
        detail: result.state === 'done' ? null : result.message,
        reference: result.state === 'done' ? result.reference : null,
        foundByLookup: result.state === 'done' && result.foundByLookup,
      })
      // Sent together: the record does not wait for its answer before what follows from it.
      await Promise.all([recorded, spec.settle(tx, tools, result)])
      crashPoint('effect.before_record')
    })
    crashPoint('effect.after_record')
    return result
  }

  async function setState(
    tx: Tx<DB>,
    change: { state: Row['state']; absences: number; detail: string | null; reference?: string | null; foundByLookup?: boolean },
  ): Promise<void> {
    const settled = change.state !== 'intent' && change.state !== 'unknown'
    await sql`
      insert into effects (organization_id, effect_key, kind, target, state, request_sha256, reference, found_by_lookup, absences, detail, settled_at, correlation_id)
      values (${context.organizationId}, ${spec.key}, ${spec.kind}, ${spec.target}, ${change.state}, ${hash(spec.request)}, ${change.reference ?? null},
        ${change.foundByLookup ?? false}, ${change.absences}, ${change.detail?.slice(0, 1_000) ?? null}, ${settled ? sql`now()` : null}, ${context.correlationId})
      on conflict (organization_id, effect_key) do update set state = excluded.state, absences = excluded.absences, detail = excluded.detail,
        reference = coalesce(excluded.reference, effects.reference), found_by_lookup = excluded.found_by_lookup, settled_at = excluded.settled_at`.execute(
      tx,
    )
  }
}

const hash = (request: unknown) => createHash('sha256').update(JSON.stringify(request)).digest('hex')

async function recordIntent<App, DB, Data>(tx: Tx<DB>, context: JobContext<App, DB, Data>, spec: EffectSpec<DB>): Promise<Row> {
  const result = await sql<Row>`
    insert into effects (organization_id, effect_key, kind, target, state, request_sha256, correlation_id)
    values (${context.organizationId}, ${spec.key}, ${spec.kind}, ${spec.target}, 'intent', ${hash(spec.request)}, ${context.correlationId})
    on conflict (organization_id, effect_key) do update set tries = effects.tries + 1
    returning state, reference, tries, absences, intended_at, (extract(epoch from now() - intended_at) * 1000)::float8 as age_ms, (xmax = 0) as fresh`.execute(
    tx,
  )
  const row = result.rows[0]
  if (!row) throw new Error('Recording an intent answered nothing.')
  return row
}

/** A person asks for the effect again: the next call of performEffect starts from nothing. */
export async function forgetIntent<DB>(tx: Tx<DB>, organizationId: string, key: string): Promise<void> {
  await sql`delete from effects where organization_id = ${organizationId} and effect_key = ${key}`.execute(tx)
}
