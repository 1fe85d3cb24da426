import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { failure } from './failure.ts'
import { type Home, writePrivately } from './home.ts'

/** What a running instance tells the other commands of this machine; readable by our user only, for it holds a token. */
const Running = z.object({
  pid: z.int().min(1),
  /** Process numbers are used again, above all in containers: the same number and start time is the same process. */
  startedAt: z.string(),
  ready: z.boolean(),
  shape: z.enum(['one process', 'split']),
  url: z.string(),
  adminUrls: z.array(z.object({ name: z.string(), url: z.string() })),
  /** The simulated phone's remote control; null when the channel is a real one. */
  control: z.object({ url: z.string(), token: z.string() }).nullable(),
  /** Of a superuser. */
  postgresUrl: z.string(),
  natsUrl: z.string(),
  natsMonitoringUrl: z.string().nullable(),
})
export type Running = z.infer<typeof Running>
export type RunningFacts = Omit<Running, 'pid' | 'startedAt'>

export interface Claim {
  update(facts: RunningFacts): void
  release(): void
}

const nothingYet: RunningFacts = {
  ready: false,
  shape: 'one process',
  url: '',
  adminUrls: [],
  control: null,
  postgresUrl: '',
  natsUrl: '',
  natsMonitoringUrl: null,
}

/** Claims the home for this process. A claim left by a process that is gone (kill -9) is taken over; throws Failure when one is alive. */
export function claimHome(home: Home): Claim {
  mkdirSync(home.folder, { recursive: true })
  const mine = { pid: process.pid, startedAt: processStart(process.pid) ?? '' }
  for (;;) {
    try {
      writeFileSync(home.runningFile, JSON.stringify({ ...mine, ...nothingYet }), { flag: 'wx', mode: 0o600 })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const other = findRunning(home)
    if (other) {
      const where = other.ready ? `at ${other.url}` : '(it is still starting)'
      throw failure(
        `Parley is running already ${where}, process ${other.pid}. Stop that one first (Ctrl-C there, or \`kill ${other.pid}\`), or give this one a folder of its own with --data.`,
      )
    }
    rmSync(home.runningFile, { force: true })
  }
  return {
    update: (facts) => writePrivately(home.runningFile, `${JSON.stringify({ ...mine, ...facts }, null, 2)}\n`),
    release: () => rmSync(home.runningFile, { force: true }),
  }
}

/** The instance that runs on this home now; undefined when none does. */
export function findRunning(home: Home): Running | undefined {
  let content: string
  try {
    content = readFileSync(home.runningFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  // A half-written claim is one of a starter that died in the same instant: nobody holds it.
  const parsed = Running.safeParse(parseJson(content))
  if (!parsed.success) return undefined
  return processStart(parsed.data.pid) === parsed.data.startedAt ? parsed.data : undefined
}

/** When a process started, in the system's own words; undefined when it is gone. A zombie is gone. */
export function processStart(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 }).trim() || undefined
    }
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything; state is the first field after it, the start time the twentieth.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined // No such process: that is the answer.
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // The caller's schema refuses it.
  }
}
