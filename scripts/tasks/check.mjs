#!/usr/bin/env node
// `npm run check`: types, boundaries, lint, format, dead code, generated files, rule tests. All of them, every time.
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parts } from '../check/parts.ts'
import { runParts } from '../check/run-part.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const startedAt = performance.now()

const ok = await runParts(root, parts, Math.max(2, availableParallelism()), (part, verdict) => {
  const line = `${verdict.ok ? 'ok  ' : 'FAIL'} ${part.name.padEnd(16)} ${verdict.seconds.toFixed(1).padStart(5)} s  ${verdict.count} looked at`
  console.log(verdict.ok ? line : `${line}\n${verdict.detail.replace(/^/gm, '     ')}\n`)
})
console.log(`${ok ? 'Check passed' : 'Check failed'} in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s.`)
process.exitCode = ok ? 0 : 1
