import { InvalidArgumentError } from 'commander'

/** `--data <folder>`, the same for every command that looks for a local Parley. */
export const dataOption = [
  '--data <folder>',
  'where this Parley keeps its things (default: PARLEY_HOME, or .parley in the project)',
] as const
export const jsonOption = ['--json', 'as JSON, for a script'] as const

/** A whole number in a range, or an error that says what was expected. */
export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < from || value > to)
      throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`)
    return value
  }
}

/** `33612345678`, also written +33 6 12 34 56 78. */
export function phoneNumber(text: string): string {
  const digits = text.replaceAll(/[\s+().-]/g, '')
  if (!/^[1-9]\d{6,14}$/.test(digits))
    throw new InvalidArgumentError('It must be a phone number with its country code, like 33612345678.')
  return digits
}

const unitMs: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A moment: ISO 8601, or how long ago (`90s`, `15m`, `2h`, `3d`). Resolves to ISO 8601 in UTC. */
export function moment(text: string, now = Date.now()): string {
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  if (ago) return new Date(now - Number(ago[1]) * (unitMs[ago[2] ?? ''] ?? 0)).toISOString()
  const parsed = /^\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : undefined
  if (!parsed || Number.isNaN(parsed.getTime()))
    throw new InvalidArgumentError('It must be a moment like 2026-05-01T12:00:00Z, or how long ago: 15m, 2h, 3d.')
  return parsed.toISOString()
}
