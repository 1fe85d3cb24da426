import { stripVTControlCharacters } from 'node:util'

/** One part of the check: a tool, and how to read from its output how much it looked at. */
export interface Part {
  name: string
  /** A program of node_modules/.bin with its arguments. */
  command: readonly [string, ...string[]]
  /** How many files (or tests) the tool says it looked at: a tool that reads nothing would otherwise pass for ever. */
  countOf(output: string): number
  /** What of the output is worth showing on failure. */
  problemsOf?(output: string): string
}

const number = (pattern: RegExp) => (output: string) => Number(pattern.exec(output)?.[1] ?? 0)

/** tsc names each file it read on a line of its own; everything else it prints is a problem. */
const isListedFile = (line: string) => /^(\/|[A-Za-z]:\/).*\.(d\.)?[cm]?tsx?$/.test(line)
const isOurs = (line: string) => isListedFile(line) && !line.includes('/node_modules/')

/** Longest first, so that two cores end at about the same time. */
export const parts: readonly Part[] = [
  { name: 'rule tests', command: ['vitest', 'run', '--project', 'unit'], countOf: number(/^\s*Tests .*?(\d+) passed/m) },
  {
    name: 'dead code',
    command: ['knip', '--no-config-hints', '--reporter', 'symbols', '--reporter', './scripts/check/knip-count.ts'],
    countOf: number(/knip read (\d+) files/),
  },
  { name: 'lint', command: ['oxlint', '--deny-warnings'], countOf: number(/ on (\d+) files? with/) },
  {
    name: 'types',
    command: ['tsc', '--noEmit', '--pretty', 'false', '--listFiles', '-p', '.'],
    countOf: (output) => output.split('\n').filter(isOurs).length,
    problemsOf: (output) =>
      output
        .split('\n')
        .filter((line) => !isListedFile(line))
        .join('\n'),
  },
  {
    name: 'generated files',
    command: ['node', 'scripts/tasks/generate.ts', '--check'],
    countOf: number(/^Compared (\d+) generated files/m),
  },
  { name: 'boundaries', command: ['node', 'scripts/check/boundaries.ts'], countOf: number(/^Checked (\d+) files? in [1-9]/m) },
  { name: 'format', command: ['biome', 'format', '.'], countOf: number(/^Checked (\d+) files?/m) },
]

export interface Verdict {
  ok: boolean
  count: number
  /** What to show: the tool's own words, or why a silent pass is a failure. */
  detail: string
}

/** Passed means: the tool ended well and says that it looked at something. */
export function judge(part: Part, exitCode: number | null, rawOutput: string): Verdict {
  const output = stripVTControlCharacters(rawOutput)
  const count = part.countOf(output)
  if (exitCode === 0 && count > 0) return { ok: true, count, detail: '' }
  const said = (part.problemsOf?.(output) ?? output).trim()
  if (exitCode === 0) return { ok: false, count, detail: `${said}\n${part.command[0]} looked at nothing: that is no pass.` }
  const how = exitCode === null ? `${part.command[0]} was ended by a signal or took too long.` : ''
  return { ok: false, count, detail: `${said}\n${how}`.trim() }
}
