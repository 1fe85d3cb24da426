// Runs vitest and ends with one line, "N passed, N failed, N skipped". A run without a single test run is a failure.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { root } from '../lib/bootstrap.mjs'

const work = mkdtempSync(join(tmpdir(), 'parley-test-summary-'))
const summaryFile = join(work, 'summary.json')
const args = [
  'run',
  '--reporter=default',
  `--reporter=${join(root, 'scripts', 'lib', 'vitest-summary.mjs')}`,
  ...process.argv.slice(2),
]
const vitest = spawn(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), ...args], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PARLEY_TEST_SUMMARY: summaryFile },
})
// vitest tears its servers down on these; we wait for it and end as it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => vitest.kill(signal))

vitest.on('exit', (code, signal) => {
  const counts = existsSync(summaryFile) ? JSON.parse(readFileSync(summaryFile, 'utf8')) : { passed: 0, failed: 0, skipped: 0 }
  rmSync(work, { recursive: true })
  const ran = counts.passed + counts.failed
  if (ran === 0) process.stderr.write(`No test ran${signal ? ` (vitest ended by ${signal})` : ''}.\n`)
  process.exitCode = code || (ran === 0 || signal ? 1 : 0)
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
})
