/** Sleeps, and can be woken. One sleep at a time. */
export interface Sleeper {
  /** Resolves after `ms`, or as soon as somebody wakes it. */
  sleep(ms: number): Promise<void>
  /** Ends the sleep under way; does nothing while nobody sleeps. */
  wake(): void
}

export function createSleeper(): Sleeper {
  let end: (() => void) | undefined
  return {
    async sleep(ms) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        end = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      end = undefined
    },
    wake: () => end?.(),
  }
}
