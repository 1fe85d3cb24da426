import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { judge, type Part, parts, type Verdict } from './parts.ts'
import { runParts } from './run-part.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const part = (script: string): Part => ({
  name: script,
  command: ['node', '-e', script],
  countOf: (output) => Number(/saw (\d+)/.exec(output)?.[1] ?? 0),
})

async function verdictsOf(scripts: string[]): Promise<{ ok: boolean; verdicts: Verdict[] }> {
  const verdicts: Verdict[] = []
  const ok = await runParts(root, scripts.map(part), 2, (_part, verdict) => verdicts.push(verdict))
  return { ok, verdicts }
}

describe('the check', () => {
  test('passes when every part ends well and looked at something', async () => {
    expect(await verdictsOf([`console.log('saw 2')`, `console.error('saw 1')`])).toMatchObject({ ok: true })
  })

  test('fails when one part fails, shows what it said, and still runs the others', async () => {
    const { ok, verdicts } = await verdictsOf([
      `console.log('saw 2, one is wrong'); process.exitCode = 1`,
      `console.log('saw 1')`,
      `console.log('saw 3')`,
    ])
    expect(ok).toBe(false)
    expect(verdicts.filter((verdict) => verdict.ok)).toHaveLength(2)
    expect(verdicts.find((verdict) => !verdict.ok)?.detail).toBe('saw 2, one is wrong')
  })

  test('fails when a tool ends well but looked at nothing', async () => {
    const { ok, verdicts } = await verdictsOf([`console.log('saw 0, all fine')`])
    expect(ok).toBe(false)
    expect(verdicts[0]?.detail).toContain('looked at nothing')
  })

  test('fails when a tool is killed or does not exist', async () => {
    expect(await verdictsOf([`process.kill(process.pid, 'SIGKILL')`])).toMatchObject({ ok: false })
    const missing: Part = { name: 'missing', command: ['no-such-tool'], countOf: () => 1 }
    expect(await runParts(root, [missing], 1, () => undefined)).toBe(false)
  })

  test('fails when it has no parts', async () => {
    expect(await runParts(root, [], 2, () => undefined)).toBe(false)
  })
})

describe('what a tool looked at is read from its own words', () => {
  // The closing lines of the tools as they are: after an upgrade this and the check itself say when they change.
  test.each([
    ['rule tests', ' Test Files  1 failed | 2 passed (3)\n      Tests  1 failed | 49 passed (50)\n', 49],
    ['rule tests', ' Test Files  2 passed (2)\n      Tests  33 passed (33)\n', 33],
    ['rule tests', 'No test files found, exiting with code 1', 0],
    ['dead code', 'knip read 31 files\n', 31],
    ['lint', 'Found 0 warnings and 0 errors.\nFinished in 397ms on 14 files with 129 rules using 2 threads.\n', 14],
    ['lint', 'Finished in 4ms on 0 files with 129 rules using 2 threads.\n', 0],
    ['types', '/x/node_modules/typescript/lib/lib.d.ts\n/x/packages/contracts/src/lanes.ts\n/x/scripts/check/parts.ts\n', 2],
    ['types', '/x/node_modules/typescript/lib/lib.d.ts\n', 0],
    ['generated files', 'Compared 3 generated files.\n', 3],
    ['boundaries', 'Checking packages...\nChecked 71 files in 10 packages, no issues found\n', 71],
    ['boundaries', 'Checking packages...\nChecked 0 files in 0 packages, no issues found\n', 0],
    ['format', 'Checked 55 files in 23ms. No fixes applied.\n', 55],
  ])('%s: %j is %d', (name, output, count) => {
    const found = parts.find((candidate) => candidate.name === name)
    expect(found && judge(found, 0, output)).toMatchObject({ count, ok: count > 0 })
  })

  test('a list of files is not shown as a problem of types', () => {
    const types = parts.find(({ name }) => name === 'types')
    const output = 'a.ts(1,1): error TS1: No.\n/x/node_modules/typescript/lib/lib.d.ts\n/x/a.ts\n'
    expect(types && judge(types, 2, output).detail).toBe('a.ts(1,1): error TS1: No.')
  })
})
