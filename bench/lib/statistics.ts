/** The middle value; of an even number, the mean of the two in the middle. Throws RangeError on nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.floor((sorted.length - 1) / 2)]
  if (upper === undefined || lower === undefined) throw new RangeError('Nothing was measured.')
  return (upper + lower) / 2
}

/** The value that `share` (0 to 1) of the values do not exceed (nearest rank). `sorted` must be ascending. Throws RangeError on nothing. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  if (value === undefined) throw new RangeError('Nothing was measured.')
  return value
}

/** Three digits are more than two shared cores can tell. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toPrecision(digits))
}

/** Median of the ratios, pair by pair: what disturbs the machine for a while disturbs both halves of a pair. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, index) => value / (theirs[index] ?? Number.NaN)))
}
