import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

/** One benchmark's outcome: its name, its fields, and how to get it again. */
export interface Figure {
  name: string
  command: string
  [field: string]: unknown
}

export interface Machine {
  cpu: string
  cores: number
  memoryGb: number
  node: string
  postgres: string
  nats: string
}

const file = fileURLToPath(new URL('../results.json', import.meta.url))

export function machineFacts(versions: { postgres: string; nats: string }): Machine {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    node: process.versions.node,
    ...versions,
  }
}

/** Writes the figures into results.json, each in place of its former self; the others stay. */
export function mergeResults(figures: readonly Figure[], machine: Machine): void {
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { figures: Figure[] }).figures : []
  const merged = new Map(before.map((figure) => [figure.name, figure]))
  for (const figure of figures) merged.set(figure.name, { ...figure, date: new Date().toISOString(), machine })
  const sorted = [...merged.values()].sort((a, b) => a.name.localeCompare(b.name))
  const unfinished = `${file}.tmp`
  writeFileSync(unfinished, `${JSON.stringify({ figures: sorted }, null, 2)}\n`)
  renameSync(unfinished, file)
}

/** True when a program of that name can be run here. */
export function isOnPath(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', timeout: 5_000 })
    return true
  } catch {
    return false // Not there, or not runnable: the same to us.
  }
}
