import type { Metric, Month } from '@parley/contracts'
import { limitOf, metrics, type Terms } from './limits.ts'

export type Used = Readonly<Record<Metric, number>>

interface Warning {
  metric: Metric
  percent: 80 | 100
  used: number
  limit: number
  stops: boolean
}

export interface UsageVerdict {
  /** To be told now. */
  warnings: Warning[]
  /** Everything told so far: `metric:percent:limit`. A new limit is a new line to cross. */
  warned: string[]
  /** Used up, and the plan stops there. */
  stopped: Metric[]
  /** For each metric the use at which the next warning is due; null: none. */
  next: Record<Metric, number | null>
}

const mark = (metric: Metric, percent: number, limit: number) => `${metric}:${percent}:${limit}`
const lineAt = (percent: 80 | 100, limit: number) => (percent === 100 ? limit : Math.ceil(limit * 0.8))

/** What a month's use means. Each line is told once per month; who jumps over both hears of the upper one only. */
export function decideUsage(used: Used, terms: Terms, told: readonly string[]): UsageVerdict {
  const warned = new Set(told)
  const verdict: UsageVerdict = {
    warnings: [],
    warned: [],
    stopped: [],
    next: { messages: null, ai_requests: null, customers: null, ai_spend: null },
  }
  for (const metric of metrics) {
    const limit = limitOf(terms.limits, metric)
    if (limit === null) continue
    const stops = terms.overageMicros[metric] === null
    const reached = ([100, 80] as const).find((percent) => used[metric] >= lineAt(percent, limit))
    if (reached !== undefined && !warned.has(mark(metric, reached, limit)) && !warned.has(mark(metric, 100, limit))) {
      verdict.warnings.push({ metric, percent: reached, used: used[metric], limit, stops })
    }
    if (reached !== undefined) warned.add(mark(metric, 80, limit))
    if (reached === 100) warned.add(mark(metric, 100, limit))
    if (reached === 100 && stops) verdict.stopped.push(metric)
    const open = ([80, 100] as const).find((percent) => !warned.has(mark(metric, percent, limit)))
    verdict.next[metric] = open === undefined ? null : lineAt(open, limit)
  }
  verdict.warned = [...warned].sort()
  return verdict
}

/** When somebody who counts must ask for a look at the whole. */
export interface Watch {
  month: Month
  next: Record<Metric, number | null>
}

/**
 * Events that may be counted at the same moment without seeing each other: a group of 64 in each of the 16 lanes. Whoever is the last
 * of them to come to a line has seen all but these.
 */
const unseenEvents = 1_024
/** Counted events of a lane after which its use is reported, lines or not. */
const reportEvery = 256

/**
 * True when a look at the whole month is due: a line may be near, the month is new, or it is time to report. `added` is the most that
 * one event adds to each metric.
 */
export function needsLook(
  watch: Watch | null,
  month: Month,
  counted: { eventsBefore: number; events: number; used: Used },
  added: Partial<Record<Metric, number>>,
): boolean {
  const reports = (events: number) => Math.floor(events / reportEvery)
  if (watch?.month !== month || reports(counted.events) > reports(counted.eventsBefore)) return true
  return metrics.some((metric) => {
    const next = watch.next[metric]
    return next !== null && counted.used[metric] + unseenEvents * (added[metric] ?? 0) >= next
  })
}

/** Whole percents of a limit, rounded down so that 100 means reached; null without a limit. */
export function percentOf(used: number, limit: number | null): number | null {
  if (limit === null) return null
  return limit === 0 ? 100 : Math.floor((used / limit) * 100)
}
