import type { TranscriptTurn } from '@parley/contracts'
import { cut, fitting } from './fields.ts'

const maxPartBytes = 40 * 1_024
const maxTurnLength = 8_192
const maxTurns = 2_000

/** One turn of a transcript, in several where it is long: no word is lost. */
export function turnsOf(speaker: TranscriptTurn['speaker'], words: unknown, offsetSeconds: number | null): TranscriptTurn[] {
  const turns: TranscriptTurn[] = []
  if (typeof words !== 'string') return turns
  for (let rest = words; rest !== ''; ) {
    const text = cut(rest, maxTurnLength)
    turns.push({ speaker, text, offsetSeconds })
    rest = rest.slice(text.length)
  }
  return turns
}

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
