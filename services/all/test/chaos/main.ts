import { randomInt } from 'node:crypto'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectFolder } from '../../src/home.ts'
import { openStage, play, type Result, type Stage } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'
import { lineOf, tableOf } from './table.ts'
import { playFuzz } from './fuzz.ts'

const help = `Usage: npm run chaos [-- FAULT …] [--seed N] [--minutes M] [--quick] [--keep]

Breaks a whole Parley (real processes, real Postgres, real NATS) while customers write, and holds what is left against the
books that the sender and the simulated phone kept. Faults: ${scenarios.map(({ fault }) => fault).join(' ')}.
FUZZ breaks nothing and sends what nobody should: every payload and every route's inputs with one hostile value each.

  --seed N      plan the same sends and faults as the run that printed this seed
  --minutes M   how long F4, the hostile neighbour and FUZZ go on (5)
  --quick       one short round each, as in npm test
  --keep        leave the log and the ledger of a failed world in .parley/chaos

Exit code 1 when an invariant was broken.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => ![...scenarios.map(({ fault }) => fault), 'FUZZ'].includes(name.toUpperCase()))
const seed = values.seed === undefined ? randomInt(1, 2 ** 31) : Number(values.seed)
const minutes = Number(values.minutes)
if (values.help) {
  console.log(help)
  process.exit(0)
}
if (unknown.length > 0 || !Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error(unknown.length > 0 ? `There is no fault ${unknown.join(', ')}.\n` : '--seed and --minutes are numbers.\n')
  console.error(help)
  process.exit(2)
}

const chosen =
  positionals.length === 0 ? scenarios : scenarios.filter(({ fault }) => positionals.some((name) => name.toUpperCase() === fault))
console.log(`seed ${seed}`)
const results: Result[] = []
let stage: Stage | undefined
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    if (stopping) return
    stopping = true
    void Promise.resolve(stage?.close()).finally(() => process.exit(130))
  })
}

for (const scenario of chosen) {
  if (stopping) break
  const folder = join(projectFolder, '.parley', `test-${process.pid}`)
  // A world of its own for each fault, so that a seed replays one fault without those before it.
  stage = await openStage({ folder, seed, quick: values.quick, minutes, replicas: { inbox: 2, agents: 2 } })
  const result = await play(stage, scenario, seed)
  results.push(result)
  console.log(lineOf(result))
  for (const line of result.broken.slice(0, 20)) console.log(`    ${line}`)
  if (result.broken.length > 0) {
    console.log(`    replay: npm run chaos -- ${result.fault} --seed ${seed}${values.quick ? ' --quick' : ''}`)
    if (values.keep) keep(folder, result.fault)
  }
  await stage.close()
}
const fuzzed = positionals.length === 0 || positionals.some((name) => name.toUpperCase() === 'FUZZ')
const isSound = fuzzed && !stopping ? await playFuzz({ seed, minutes, quick: values.quick }) : true
console.log(`${results.length > 0 ? `\n${tableOf(results)}\n` : ''}seed ${seed}`)
process.exit(!isSound || results.some(({ broken }) => broken.length > 0) ? 1 : 0)

function keep(folder: string, fault: string): void {
  const kept = join(projectFolder, '.parley', 'chaos', `${fault}-${seed}`)
  mkdirSync(kept, { recursive: true })
  for (const name of ['parley.log', 'ledger.jsonl']) copyFileSync(join(folder, name), join(kept, name))
  console.log(`    kept: ${kept}`)
}
