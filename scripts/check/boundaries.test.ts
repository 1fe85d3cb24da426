import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkPackages, untagged } from './boundaries.ts'
import { judge, parts } from './parts.ts'
import { run } from './run-part.ts'

// A boundary tool that reads no module is green for ever. So violations are planted in a copy of the tree, and every
// single one must be reported. One run of each tool judges them all.

const root = fileURLToPath(new URL('../..', import.meta.url))
const skipped = new Set(['node_modules', '.git', '.parley', '.turbo', 'coverage'])

const copies: string[] = []
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'parley-boundaries-'))
  copies.push(copy)
  cpSync(root, copy, {
    recursive: true,
    filter: (path) =>
      !relative(root, path)
        .split(sep)
        .some((name) => skipped.has(name)),
  })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

function plant(copy: string, file: string, text: string) {
  mkdirSync(dirname(join(copy, file)), { recursive: true })
  writeFileSync(join(copy, file), `${text}\n`)
}

function addDependency(copy: string, folder: string, name: string) {
  const file = join(copy, folder, 'package.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { dependencies?: Record<string, string> }
  writeFileSync(file, JSON.stringify({ ...manifest, dependencies: { ...manifest.dependencies, [name]: '*' } }))
}

/** Type-aware rules cost seconds and have no part in boundaries: a config with our own plugin alone. */
async function lintOf(copy: string): Promise<{ problems: string[]; files: number }> {
  const rules = { 'parley/imports': 'error', 'parley/pure-rules': 'error' }
  const config = { jsPlugins: ['./scripts/check/oxlint-plugin.ts'], plugins: [], categories: { correctness: 'off' }, rules }
  writeFileSync(join(copy, 'planted.oxlintrc.json'), JSON.stringify(config))
  const { output } = await run(copy, ['oxlint', '-c', 'planted.oxlintrc.json', '--format', 'json', '.'])
  const report = JSON.parse(output) as { diagnostics: { filename: string; message: string }[]; number_of_files: number }
  return { problems: report.diagnostics.map(({ filename, message }) => `${filename}: ${message}`), files: report.number_of_files }
}

afterAll(() => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}, 60_000)

describe('imports', () => {
  const planted: Record<string, [file: string, text: string, why: RegExp]> = {
    'a service importing a service by name': [
      'services/agents/src/a.ts',
      `import { x } from '@parley/inbox'\nexport const y = x`,
      /never imports a service/,
    ],
    'a service importing the type of a service': [
      'services/agents/src/b.ts',
      `import type { X } from '@parley/inbox'\nexport type Y = X`,
      /never imports a service/,
    ],
    'a service importing a type inline': [
      'services/agents/src/c.ts',
      `export type Y = import('@parley/inbox').X`,
      /never imports a service/,
    ],
    'a service re-exporting a service': ['services/agents/src/d.ts', `export * from '@parley/inbox'`, /never imports a service/],
    'a service re-exporting names of a service': [
      'services/agents/src/e.ts',
      `export { x } from '@parley/inbox'`,
      /never imports a service/,
    ],
    'a service loading a service later': [
      'services/agents/src/f.ts',
      `export const later = () => import('@parley/inbox')`,
      /never imports a service/,
    ],
    'a service reaching into a service by path': [
      'services/agents/src/g.ts',
      `import { x } from '../../inbox/src/service.ts'\nexport const y = x`,
      /leaves services\/agents/,
    ],
    'a test of a service importing a service': [
      'services/agents/test/a.test.ts',
      `import { x } from '@parley/inbox'\nexport const y = x`,
      /never imports a service/,
    ],
    'a service importing the whole': [
      'services/agents/src/h.ts',
      `import { x } from '@parley/all'\nexport const y = x`,
      /service may not import all/,
    ],
    'a computed import': ['services/agents/src/i.ts', `export const load = (name: string) => import(name)`, /computed import/],
    'a service with a pool of its own': [
      'services/agents/src/j.ts',
      `import pg from 'pg'\nexport const pool = new pg.Pool()`,
      /Only packages\/runtime opens a pool/,
    ],
    'a service shipping the embedded servers': [
      'services/agents/src/k.ts',
      `import { x } from '@parley/embedded'\nexport const y = x`,
      /service may not import embedded/,
    ],
    'the runtime importing a provider': [
      'packages/runtime/src/a.ts',
      `import { x } from '@parley/providers/whapi'\nexport const y = x`,
      /runtime may not import providers/,
    ],
    'the runtime importing a service': [
      'packages/runtime/src/b.ts',
      `import { x } from '@parley/inbox'\nexport const y = x`,
      /runtime may not import service/,
    ],
    'a provider importing the runtime': [
      'packages/providers/src/a.ts',
      `import { x } from '@parley/runtime'\nexport const y = x`,
      /providers may not import runtime/,
    ],
    'contracts importing the runtime': [
      'packages/contracts/src/a.ts',
      `import { x } from '@parley/runtime'\nexport const y = x`,
      /contracts may not import runtime/,
    ],
    'contracts doing I/O': [
      'packages/contracts/src/b.ts',
      `import { readFileSync } from 'node:fs'\nexport const y = readFileSync`,
      /no I\/O/,
    ],
    'the runtime shipping the embedded servers': [
      'packages/runtime/src/c.ts',
      `import { x } from '@parley/embedded'\nexport const y = x`,
      /runtime may not import embedded/,
    ],
    'a file of no layer': ['packages/unheard-of/src/a.ts', `import 'zod'`, /belongs to no layer/],
    'a rule importing a query': [
      'services/agents/src/rules/a.ts',
      `import { x } from '../db/turns.ts'\nexport const y = x`,
      /A rule imports only/,
    ],
    'a rule leaving by the back door': [
      'services/agents/src/rules/b.ts',
      `import { x } from './../app.ts'\nexport const y = x`,
      /A rule imports only/,
    ],
    'a rule importing the runtime': [
      'services/agents/src/rules/c.ts',
      `import type { Tx } from '@parley/runtime'\nexport type Y = Tx<object>`,
      /A rule imports only/,
    ],
    'a rule importing Node': [
      'services/agents/src/rules/d.ts',
      `import { randomUUID } from 'node:crypto'\nexport const y = randomUUID()`,
      /A rule imports only/,
    ],
    'a rule importing a rule of another service': [
      'services/agents/src/rules/e.ts',
      `import { x } from '../../../inbox/src/rules/consent.ts'\nexport const y = x`,
      /A rule imports only/,
    ],
    'a rule reading the clock': ['services/agents/src/rules/f.ts', `export const y = Date.now()`, /A rule is pure/],
    'a rule making the present moment': ['services/agents/src/rules/g.ts', `export const y = new Date()`, /A rule is pure/],
    'a rule printing the present moment': ['services/agents/src/rules/h.ts', `export const y = Date()`, /A rule is pure/],
    'a rule hiding the clock': [
      'services/agents/src/rules/i.ts',
      `const { now } = Date\nexport const y = now()`,
      /A rule is pure/,
    ],
    'a rule throwing dice': ['services/agents/src/rules/j.ts', `export const y = Math.random()`, /A rule is pure/],
    'a rule naming things by chance': [
      'services/agents/src/rules/k.ts',
      `export const y = crypto.randomUUID()`,
      /A rule is pure/,
    ],
    'a rule reading the environment': [
      'services/agents/src/rules/l.ts',
      `export const y = process.env['HOME']`,
      /A rule is pure/,
    ],
    'a rule calling out': [
      'services/agents/src/rules/m.ts',
      `export const y = () => fetch('https://example.com')`,
      /A rule is pure/,
    ],
    'a rule waiting': ['services/agents/src/rules/n.ts', `export const y = () => setTimeout(() => 1, 1)`, /A rule is pure/],
    'a rule reaching the clock by a detour': [
      'services/agents/src/rules/o.ts',
      `export const y = globalThis.Date.now()`,
      /A rule is pure/,
    ],
  }
  const allowed: Record<string, [file: string, text: string]> = {
    'a rule importing contracts and a rule': [
      'services/agents/src/rules/fine.ts',
      `import type { Id } from '@parley/contracts'\nimport { x } from './other.ts'\nexport const y: Id = x`,
    ],
    'a rule computing with given time': [
      'services/agents/src/rules/time.ts',
      `export const y = (now: Date, text: string) => new Date(text) < now || Date.parse(text) > Math.max(1, 2)`,
    ],
    'a rule with a field of a forbidden name': [
      'services/agents/src/rules/fields.ts',
      `export const y = (call: { process: string }) => ({ fetch: call.process })`,
    ],
    'a test of a rule': [
      'services/agents/src/rules/fine.test.ts',
      `import fc from 'fast-check'\nimport { test } from 'vitest'\nimport { y } from './fine.ts'\ntest('y', () => fc.assert(y))`,
    ],
    'a test of a service with its own servers and pool': [
      'services/agents/test/fine.test.ts',
      `import { x } from '@parley/embedded'\nimport pg from 'pg'\nimport { s } from '../src/service.ts'\nexport const y = [x, pg, s]`,
    ],
    'the whole importing every service': [
      'services/all/src/fine.ts',
      `import { x } from '@parley/inbox'\nimport { e } from '@parley/embedded'\nimport pg from 'pg'\nexport const y = [x, e, pg]`,
    ],
  }
  let clean: Awaited<ReturnType<typeof lintOf>>
  let dirty: Awaited<ReturnType<typeof lintOf>>

  beforeAll(async () => {
    const copy = copyTree()
    clean = await lintOf(copy)
    for (const [file, text] of [...Object.values(planted), ...Object.values(allowed)]) plant(copy, file, text)
    dirty = await lintOf(copy)
  }, 60_000)

  test('the tree as it is has no violation, and was read', () => {
    expect(clean.problems).toEqual([])
    expect(clean.files).toBeGreaterThan(readdirSync(join(root, 'packages')).length)
    expect(dirty.files).toBe(clean.files + Object.keys(planted).length + Object.keys(allowed).length)
  })

  test.each(Object.entries(planted))('%s is caught', (_name, [file, , why]) => {
    expect(dirty.problems.filter((problem) => problem.startsWith(`${file}:`)).join('\n')).toMatch(why)
  })

  test.each(Object.entries(allowed))('%s is let through', (_name, [file]) => {
    expect(dirty.problems.filter((problem) => problem.startsWith(`${file}:`))).toEqual([])
  })
})

describe('packages', () => {
  test('the tree as it is has no violation, and was read', async () => {
    const { ok, output } = await checkPackages(copyTree())
    expect(output).toMatch(/Checked [1-9]\d* files in [1-9]\d* packages, no issues found/)
    expect(ok).toBe(true)
  })

  test.each([
    ['a service depending on a service', 'services/agents', '@parley/inbox'],
    ['the runtime depending on a provider', 'packages/runtime', '@parley/providers'],
    ['a provider depending on the runtime', 'packages/providers', '@parley/runtime'],
    ['contracts depending on the runtime', 'packages/contracts', '@parley/runtime'],
    ['a service depending on the whole', 'services/agents', '@parley/all'],
    ['the embedded servers depending on a service', 'packages/embedded', '@parley/inbox'],
  ])('%s is caught', async (_name, folder, dependency) => {
    const copy = copyTree()
    addDependency(copy, folder, dependency)
    const { ok, output } = await checkPackages(copy)
    expect(ok).toBe(false)
    expect(output).toContain(`Package \`${dependency}\` found`)
  })

  test('an import that package.json does not declare is caught', async () => {
    const copy = copyTree()
    plant(copy, 'services/agents/src/undeclared.ts', `import autocannon from 'autocannon'\nexport const y = autocannon`)
    const { ok, output } = await checkPackages(copy)
    expect(ok).toBe(false)
    expect(output).toContain('cannot import package `autocannon` because it is not a dependency')
  })

  test('a package without a tag is caught, because no rule would apply to it', () => {
    const copy = copyTree()
    rmSync(join(copy, 'services/agents/turbo.json'))
    expect(untagged(copy)).toEqual(['services/agents/turbo.json must say "tags": ["service"].'])
  })

  test('a tree without packages is no pass', async () => {
    const copy = copyTree()
    for (const folder of ['packages', 'services']) {
      for (const name of readdirSync(join(copy, folder))) rmSync(join(copy, folder, name), { recursive: true })
    }
    rmSync(join(copy, 'bench'), { recursive: true })
    const { output } = await checkPackages(copy)
    const part = parts.find(({ name }) => name === 'boundaries')
    expect(part && judge(part, 0, output)).toMatchObject({ ok: false, count: 0 })
  })
})
