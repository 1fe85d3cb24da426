import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { breakingChanges, type Snapshot } from '../../packages/contracts/src/compatibility.ts'
import { type Artifact, artifacts, snapshotPath } from '../generate/artifacts.ts'

// `npm run generate` writes what is made out of the source; `--check` compares it to what is committed.

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values: options } = parseArgs({
  options: { check: { type: 'boolean', default: false }, 'accept-breaking': { type: 'boolean', default: false } },
})

const read = (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined)

function brokenPromises(files: readonly Artifact[]): string[] {
  const committed = read(snapshotPath)
  const next = files.find(({ path }) => path === snapshotPath)
  return committed && next ? breakingChanges(JSON.parse(committed) as Snapshot, JSON.parse(next.text) as Snapshot) : []
}

function compare({ path, text }: Artifact): boolean {
  const committed = read(path)
  if (committed === text) return true
  const was = committed?.split('\n') ?? []
  const is = text.split('\n')
  const line = is.findIndex((content, index) => content !== was[index])
  const at =
    committed === undefined
      ? 'is missing'
      : `differs from the source at line ${line + 1}:\n  - ${was[line] ?? ''}\n  + ${is[line] ?? ''}`
  console.log(`${path} ${at}\n  Run npm run generate and commit the result.`)
  return false
}

function write({ path, text }: Artifact) {
  if (read(path) === text) return
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  console.log(`Wrote ${path}`)
}

const files = await artifacts(root)
const broken = options['accept-breaking'] ? [] : brokenPromises(files)
for (const problem of broken) console.log(problem)
if (options.check) {
  const same = files.map(compare).every(Boolean)
  console.log(`Compared ${files.length} generated files.`)
  process.exitCode = same && broken.length === 0 ? 0 : 1
} else if (broken.length > 0) {
  console.log('Nothing was written. A contract that nobody outside uses yet may break: --accept-breaking.')
  process.exitCode = 1
} else {
  files.forEach(write)
}
