import type { TranscriptTurn } from '@parley/contracts'
import { fitting } from './fields.ts'

const maxPartBytes = 40 * 1_024
const maxTurns = 2_000

/** Splits a transcript so that each part fits one event. No turn is lost; without turns there are no parts. */
export function partsOf(turns: readonly TranscriptTurn[]): TranscriptTurn[][] {
  const parts: TranscriptTurn[][] = []
  for (let from = 0; from < turns.length; ) {
    const fit = fitting(turns.slice(from, from + maxTurns), maxTurns, maxPartBytes)
    // One turn alone may exceed the part, its own ceiling still keeps it within an event.
    const part = fit.length > 0 ? fit : turns.slice(from, from + 1)
    parts.push(part)
    from += part.length
  }
  return parts
}
