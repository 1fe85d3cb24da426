import { afterAll, beforeAll, expect, type TestContext } from 'vitest'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { projectFolder } from '../../src/home.ts'
import { openStage, play, type Scenario, type Stage } from './scenario.ts'

/** One Parley of real processes, with servers of its own, for the scenarios of a test file. The seed is in every failure. */
export function useStage(): (scenario: Scenario, context?: TestContext) => Promise<void> {
  const seed = randomInt(1, 2 ** 31)
  let stage: Stage
  beforeAll(async () => {
    const folder = join(projectFolder, '.parley', `test-${process.pid}`)
    stage = await openStage({ folder, seed, quick: true, minutes: 0, replicas: { inbox: 2, agents: 2 } })
  }, 90_000)
  afterAll(async () => {
    await stage?.close()
  }, 60_000)

  /** Every invariant of reliability.md §5 is asserted afterwards, over all that was ever sent. */
  return async (scenario, context) => {
    const result = await play(stage, scenario, seed)
    if (result.skipped) context?.skip(result.note)
    expect(result.broken, `seed ${seed}`).toEqual([])
    expect(result.sent).toBeGreaterThan(0)
    expect(result.accepted).toBe(result.sent)
  }
}

/** For scenarios that wait for leases and heartbeats to lapse. */
export const slow = { timeout: 150_000 }
