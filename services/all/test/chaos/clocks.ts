import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName, World } from './world.ts'

/** The clocks of processes, which somebody else sets. Timers are left alone: they follow the monotonic clock, as on any machine. */
export interface Clocks {
  /** How far the clock of each process is ahead, in seconds, by the number of the process within its service. */
  set(aheadOf: (number: number) => number): void
}

/** Every process that is started from now on has a clock that can be set, through libfaketime; it looks at its file once a second. */
export function wearClocks(world: World, library: string, aheadOf: (number: number) => number): Clocks {
  const folder = join(world.folder, 'clocks')
  mkdirSync(folder, { recursive: true })
  const files: { path: string; number: number }[] = []
  const started = new Map<ServiceName, number>()
  let current = aheadOf
  const write = ({ path, number }: { path: string; number: number }) => {
    const seconds = current(number)
    writeFileSync(path, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  }
  world.launchWith((service) => {
    const number = started.get(service) ?? 0
    started.set(service, number + 1)
    const file = { path: join(folder, `${service}-${number}`), number }
    files.push(file)
    write(file)
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file.path,
      FAKETIME_CACHE_DURATION: '1',
      // Two names for it: the second is what versions before 0.9.10 read.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  })
  return {
    set(aheadOf) {
      current = aheadOf
      for (const file of files) write(file)
    },
  }
}
