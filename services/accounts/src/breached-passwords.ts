import { openBreachedPasswords } from '@parley/providers/breached-passwords'
import { type Logger, meters } from '@parley/runtime'

export interface BreachCheck {
  /** Whether it is known from a breach; false too when nobody could say. */
  isBreached(password: string): Promise<boolean>
  close(): Promise<void>
}

/** While the service is away each new password says so: that is worth a line a minute, not one each. */
const tellEveryMs = 60_000

/**
 * Asks the service that the operator named. When it cannot say, the password is taken: the list of common ones has been asked by then, and
 * nobody's sign-up waits for somebody else's service to come back (decision 0016). It is counted and logged, so that it does not go on unseen.
 */
export function openBreachCheck(baseUrl: string, log: Logger): BreachCheck {
  const service = openBreachedPasswords({ baseUrl })
  let toldAt = -Infinity
  return {
    async isBreached(password) {
      const sighting = await service.look(password)
      const outcome = sighting.outcome === 'unanswered' ? 'unknown' : 'done'
      meters.effects().add(1, { kind: 'breached-password', outcome })
      if (sighting.outcome !== 'unanswered') return sighting.outcome === 'breached'
      if (performance.now() - toldAt > tellEveryMs) {
        toldAt = performance.now()
        log.warn({ why: sighting.message }, 'a new password was taken without asking whether it is known from a breach')
      }
      return false
    },
    close: () => service.close(),
  }
}
