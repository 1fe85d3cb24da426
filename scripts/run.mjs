#!/usr/bin/env node
// `node scripts/run.mjs <task>`: the npm scripts' way to the programs of this project, from any Node and any folder.
import process from 'node:process'
import { ensureDependencies, root, runProgram } from './lib/bootstrap.mjs'

const tasks = {
  test: 'scripts/tasks/test.mjs',
  check: 'scripts/tasks/check.mjs',
  chaos: 'services/all/test/chaos/main.ts',
  bench: 'bench/main.ts',
  generate: 'scripts/tasks/generate.ts',
}

const [name, ...args] = process.argv.slice(2)
const file = Object.hasOwn(tasks, name) ? tasks[name] : undefined
if (!file) {
  process.stderr.write(`Usage: node scripts/run.mjs ${Object.keys(tasks).join('|')} [arguments]\n`)
  process.exit(2)
}
ensureDependencies()
runProgram(file, args, { cwd: root })
