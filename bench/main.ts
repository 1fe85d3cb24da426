import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Figure, machineFacts, mergeResults } from './lib/results.ts'
import { openStage, type Stage } from './lib/stage.ts'

type Benchmark = (stage: Stage) => Promise<Omit<Figure, 'command'>>

/** Loaded only when asked for: one benchmark must not need what another one imports. */
const benchmarks: Record<string, () => Promise<Benchmark>> = {
  ingest: async () => (await import('./ingest/ingest.ts')).ingest,
  hop: async () => (await import('./hop/hop.ts')).hop,
  turn: async () => (await import('./turn/turn.ts')).turn,
  peer: async () => (await import('./peer/peer.ts')).peer,
  auth: async () => (await import('./auth/auth.ts')).auth,
  rls: async () => (await import('./rls/rls.ts')).rls,
}

const usage = `Usage: npm run bench [-- [NAME…] [--quick] [--profile]]

Names: ${Object.keys(benchmarks).join(', ')} (default: all).
  --quick    one short round each; prints, but leaves results.json alone
  --profile  CPU profiles of our own processes, in .parley/profiles (open them in Chrome's DevTools)
`
const log = (line: string) => void process.stderr.write(`${line}\n`)

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { quick: { type: 'boolean' }, profile: { type: 'boolean' }, help: { type: 'boolean' } },
    })
    const unknown = positionals.find((name) => !Object.hasOwn(benchmarks, name))
    if (unknown !== undefined) throw new TypeError(`There is no benchmark '${unknown}'.`)
    return { ...values, names: positionals.length > 0 ? positionals : Object.keys(benchmarks) }
  } catch (error) {
    log(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return process.exit(2)
  }
}

const wanted = readArguments()
if (wanted.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const root = fileURLToPath(new URL('..', import.meta.url))
const profiles = wanted.profile ? join(root, '.parley', 'profiles') : undefined
const stage = await openStage({ quick: wanted.quick ?? false, profiles, log })
const failures: string[] = []
// Ctrl-C still stops the servers that were started for us.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stage.close().finally(() => process.exit(130)))
try {
  const machine = machineFacts(stage.versions)
  for (const name of wanted.names) {
    try {
      const run = await benchmarks[name]?.()
      if (!run) continue
      const figure: Figure = { ...(await run(stage)), name, command: `npm run bench -- ${name}` }
      process.stdout.write(`${JSON.stringify(figure)}\n`)
      if (wanted.quick) log('Not written to results.json: a quick run is for looking, not for comparing.')
      else mergeResults([figure], machine)
    } catch (error) {
      failures.push(name)
      log(`${name} could not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    }
  }
} finally {
  await stage.close()
}
if (failures.length > 0) log(`Failed: ${failures.join(', ')}`)
process.exit(failures.length > 0 ? 1 : 0)
