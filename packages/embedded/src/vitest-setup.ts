import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { endLeftoverNats } from './nats.ts'
import { endLeftover } from './postgres-processes.ts'
import { startInfrastructure } from './infrastructure.ts'
import { isAlive } from './process.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** postgres://… of a role that may create roles and databases; one server for the whole test run. */
    postgresUrl: string
    /** nats://… of the one nats-server of the test run. */
    natsUrl: string
  }
}

const parleyFolder = join(import.meta.dirname, '..', '..', '..', '.parley')

/** vitest's globalSetup: starts Postgres and NATS once, in a folder that goes away with the run, and gives tests their addresses. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweep()
  const folder = join(parleyFolder, `test-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const infrastructure = await startInfrastructure({ folder })
  project.provide('postgresUrl', infrastructure.postgresUrl)
  project.provide('natsUrl', infrastructure.natsUrl)
  return async () => {
    await infrastructure.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A test run that was killed leaves servers and a folder behind: the next run clears them away. */
async function sweep(): Promise<void> {
  mkdirSync(parleyFolder, { recursive: true })
  for (const name of readdirSync(parleyFolder)) {
    const pid = Number(/^test-(\d+)$/.exec(name)?.[1])
    if (!(pid > 0) || isAlive(pid)) continue
    const folder = join(parleyFolder, name)
    await endLeftover(join(folder, 'pg', 'data'))
    await endLeftoverNats(join(folder, 'nats'))
    rmSync(folder, { recursive: true, force: true })
  }
}
