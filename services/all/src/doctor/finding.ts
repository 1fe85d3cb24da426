import { textOf } from '../failure.ts'

/** What a check found. `skipped`: it could not be looked at here, which is no fault. */
export interface Finding {
  check: string
  state: 'ok' | 'failed' | 'skipped'
  detail: string
  /** What to do about it; null when nothing needs doing. */
  remedy: string | null
}

/** Runs one check: `work` resolves with the detail, or throws what is wrong. */
export async function check(name: string, remedy: string, work: () => Promise<string> | string): Promise<Finding> {
  try {
    return { check: name, state: 'ok', detail: await work(), remedy: null }
  } catch (error) {
    if (error instanceof Skip) return { check: name, state: 'skipped', detail: error.message, remedy: null }
    return { check: name, state: 'failed', detail: textOf(error), remedy }
  }
}

/** Thrown by a check that has nothing to look at. */
export class Skip extends Error {
  override name = 'Skip'
}
