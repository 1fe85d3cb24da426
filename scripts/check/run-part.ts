import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { judge, type Part, type Verdict } from './parts.ts'

/** The tools report home, ask for updates and colour their output unless told not to. */
const quiet = { NO_COLOR: '1', CI: '1', TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' }

const partTimeoutMs = 180_000

/** Runs one part in `root` and judges it. Never throws: a tool that cannot start is a failed part. */
async function runPart(root: string, part: Part): Promise<Verdict & { seconds: number }> {
  const startedAt = performance.now()
  const { exitCode, output } = await run(root, part.command)
  return { ...judge(part, exitCode, output), seconds: (performance.now() - startedAt) / 1_000 }
}

/** Runs a program of node_modules/.bin in `root` to its end: both streams as one text. */
export function run(
  root: string,
  [program, ...args]: readonly [string, ...string[]],
): Promise<{ exitCode: number | null; output: string }> {
  return new Promise((resolve) => {
    const PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...quiet, PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: partTimeoutMs,
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.on('error', (error) => resolve({ exitCode: 127, output: `${program}: ${error.message}` }))
    child.on('close', (exitCode) => resolve({ exitCode, output }))
  })
}

/** Runs `parts` with at most `width` at a time and hands each verdict to `report` as it comes. */
export async function runParts(
  root: string,
  parts: readonly Part[],
  width: number,
  report: (part: Part, verdict: Verdict & { seconds: number }) => void,
): Promise<boolean> {
  const waiting = [...parts]
  let ok = parts.length > 0
  const worker = async () => {
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      const verdict = await runPart(root, part)
      ok &&= verdict.ok
      report(part, verdict)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return ok
}
