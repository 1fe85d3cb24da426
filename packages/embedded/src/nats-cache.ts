import { chmodSync, copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

/** Copies a program into the cache under a name that appears only when the copy is whole; returns its path there. */
export function keepInCache(program: string, cacheFolder: string, version: string): string {
  const folder = join(cacheFolder, version)
  mkdirSync(folder, { recursive: true })
  const unfinished = join(folder, `.nats-server.${process.pid}`)
  copyFileSync(program, unfinished)
  chmodSync(unfinished, 0o755)
  const path = join(folder, 'nats-server')
  renameSync(unfinished, path)
  return path
}
