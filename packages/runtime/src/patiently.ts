import { describe } from './errors.ts'
import type { Logger } from './log.ts'

/** Tries until it works: the order in which broker, database and services come up is nobody's duty (reliability.md F43). */
export async function patiently<T>(what: string, log: Logger, open: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await open()
    } catch (error) {
      const { message, code } = describe(error)
      // A wrong password or a server that is too old will not mend itself.
      if (/too old|password authentication|Authorization Violation/i.test(message) || code === '28P01' || code === '28000')
        throw error
      if (tries >= 120) throw error
      if (tries % 10 === 0) log.warn({ err: describe(error) }, `waiting for ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}
