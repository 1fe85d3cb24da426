import type { Result } from './scenario.ts'

/** One scenario as it ends. */
export function lineOf(result: Result): string {
  const verdict = result.skipped ? 'skip' : result.broken.length > 0 ? 'FAIL' : 'ok  '
  const numbers = result.skipped
    ? ''
    : ` sent ${result.sent}, accepted ${result.accepted}, lost ${result.lost}, doubled ${result.doubled}, ${result.seconds.toFixed(0)} s`
  return `${verdict} ${result.fault.padEnd(4)} ${result.title}:${numbers}${result.note === '' ? '' : `; ${result.note}`}`
}

/** All scenarios, one row each. */
export function tableOf(results: readonly Result[]): string {
  const rows = [
    ['fault', 'rounds', 'sent', 'accepted', 'lost', 'doubled', 'broken', 'seconds', 'notes'],
    ...results.map((result) => [
      result.fault,
      String(result.rounds),
      String(result.sent),
      String(result.accepted),
      String(result.lost),
      String(result.doubled),
      result.skipped ? '-' : String(result.broken.length),
      result.seconds.toFixed(0),
      result.note,
    ]),
  ]
  const widths = (rows[0] as string[]).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 || column === row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
