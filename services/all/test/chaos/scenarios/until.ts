import { setTimeout as wait } from 'node:timers/promises'

/** Polls until the condition holds. Throws with what was waited for when the time is up first. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  everyMs = 50,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await wait(everyMs)
  }
}

/** Throws unless it holds: a scenario's own promise, beside the invariants. */
export function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise)
}
