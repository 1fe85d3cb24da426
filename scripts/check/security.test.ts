import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Permission, Role, rolePermissions } from '../../packages/contracts/src/index.ts'
import { findServices } from '../generate/services.ts'

// docs/security.md says what is true of the code and which test shows it; what the code no longer knows is found here.

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const guide = read('docs/security.md')
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const rowsBelow = (heading: string) =>
  (guide.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`)) ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map(cellsOf)

/** How many requirements of levels 1 and 2 the sections of each chapter have; they are the first ones of each. V6.7 has none. */
const sections: [chapter: number, counts: number[]][] = [
  [6, [3, 12, 4, 4, 5, 3, 0, 4]],
  [7, [3, 4, 2, 5, 2, 2]],
  [8, [2, 3, 1, 1]],
  [9, [3, 4]],
  [10, [2, 2, 4, 11, 5, 2, 3]],
]
const wanted = sections.flatMap(([chapter, counts]) =>
  counts.flatMap((count, section) => Array.from({ length: count }, (_, index) => `${chapter}.${section + 1}.${index + 1}`)),
)
const requirements = guide
  .split('\n')
  .filter((line) => /^\| \d+\.\d+\.\d+ /.test(line))
  .map(cellsOf)

/** Whether the file has a test or a group of this name: the first argument of `test(`, `describe(` or of what `.each(…)` gives. */
function hasTest(path: string, name: string): boolean {
  const text = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?:\\b(?:test|describe)(?:\\.\\w+)*|\\))\\(\\s*(['"\`])${text}\\1,`).test(read(path))
}

/** What a row cites and the tree does not have. */
function missing(where: string, tests: string): string[] {
  const absent: string[] = []
  for (const [, path = ''] of where.matchAll(/`([^`]+)`/g)) if (!existsSync(join(root, path))) absent.push(path)
  let file = ''
  for (const [, path, name] of tests.matchAll(/`([^`]+)`|“([^”]+)”/g)) {
    if (path !== undefined) file = path
    if (!existsSync(join(root, file))) absent.push(file)
    else if (name !== undefined && !hasTest(file, name)) absent.push(`${file} “${name}”`)
  }
  return absent
}

describe('the tables of ASVS 5.0', () => {
  test('have a row for every requirement of levels 1 and 2, in order', () => {
    expect(requirements.map(([id]) => id)).toEqual(wanted)
  })

  test('name only files and tests that there are', () => {
    expect(
      requirements.flatMap(([id, , where = '', tests = '']) => missing(where, tests).map((what) => `${id}: ${what}`)),
    ).toEqual([])
    const here = 'scripts/check/security.test.ts'
    expect(missing('`no/such/file.ts`', `\`${here}\` “name only files and tests that there are”, “no such test”`)).toEqual([
      'no/such/file.ts',
      `${here} “no such test”`,
    ])
  })

  test('say of each whether it is met, and what an unmet one needs', () => {
    for (const [id, what, where, tests, state = ''] of requirements) {
      expect(state, id).toMatch(/^(met|not met|does not apply)/)
      expect([what, where, tests], id).not.toContain('')
      if (state.includes('not met')) expect(state, id).toContain('Needed:')
      if (state.startsWith('met')) expect(where, id).not.toBe('–')
    }
  })
})

test('public calls are those of the code', async () => {
  const services = (await findServices(root)) as unknown as {
    routes: { scope: string; method: string; path: string; perMinute: number | null }[]
    pluginPaths?: string[]
  }[]
  const open = services.flatMap(({ routes }) => routes.filter(({ scope }) => scope === 'public'))
  expect(open.length).toBeGreaterThan(5)
  expect(
    rowsBelow('Public calls')
      .map(([call, , perMinute]) => `${call} ${perMinute}`)
      .toSorted(),
  ).toEqual(open.map(({ method, path, perMinute }) => `\`${method} ${path}\` ${perMinute}`).toSorted())
  const doors = services.filter(({ pluginPaths = [] }) => pluginPaths.length > 0).flatMap(({ pluginPaths = [] }) => pluginPaths)
  // Those of ingest are told by their kind.
  expect(doors.filter((path) => !/webhook/.test(path) && !guide.includes(`\`${path}\``))).toEqual([])
})

test('the permission table is that of the code', () => {
  const nouns = [...new Set(Permission.options.map((permission) => permission.split(':')[0] ?? ''))]
  const may = (role: Role, noun: string) =>
    ['read', 'write'].filter((verb) => rolePermissions[role].has(`${noun}:${verb}` as Permission)).join(', ') || '–'
  expect(rowsBelow('Roles and permissions')).toEqual(nouns.map((noun) => [noun, ...Role.options.map((role) => may(role, noun))]))
})
