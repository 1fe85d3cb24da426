import type { Counters } from '../bus-counters.ts'
import { describe } from '../errors.ts'
import type { Logger } from '../log.ts'
import { decideGrant, type Quota, type QuotaState, quotasOf, secondsLeft, windowAt } from './quota.ts'

export interface Limiter {
  /** Counts one call of a key towards its limits, over all replicas of all services. */
  admit(keyId: string, limits: { perMinute: number | null; perDay: number | null }): Promise<Verdict>
}

interface Verdict {
  /** The quota that is used up; undefined: the call may go on. */
  refusedBy: QuotaState | undefined
  states: QuotaState[]
}

/** One quota of one key, as this replica knows it. */
interface Share {
  window: number
  /** Granted and not used yet. */
  left: number
  /** By everybody, as of the last grant. */
  used: number
  /** Let through here in this window. */
  spent: number
  /** Of these, the ones the others have not been told of. */
  unreported: number
  exhausted: boolean
  asking: Promise<void> | undefined
}

const mostShares = 50_000
const pauseMs = 1_000
/** A call does not wait longer for its turn: a broker that does not answer is away. */
const patienceMs = 1_000

/**
 * Takes calls in small grants out of counters that all replicas share, so that their sum never exceeds the limit of a window, and few
 * calls wait for a round trip. A limit may seem reached a few calls early, while another replica still holds a grant. While the
 * broker is away each replica counts for itself, up to the whole limit: a limit must not take the service down. What a replica let
 * through then is reported with its next grant; what a broker that was started anew has forgotten is not known to the others.
 */
export function createLimiter(options: { counters: Counters; log: Logger; now?(): number }): Limiter {
  const { counters, log, now = Date.now } = options
  const shares = new Map<string, Share>()
  let awayUntil = 0
  let isAway = false

  function shareOf(keyId: string, quota: Quota): Share {
    const name = `${keyId}.${quota.name}`
    const window = windowAt(quota, now())
    let share = shares.get(name)
    if (!share) {
      // Whoever came first goes first: what is lost is a grant that was not used.
      if (shares.size >= mostShares) shares.delete(shares.keys().next().value as string)
      share = { window, left: 0, used: 0, spent: 0, unreported: 0, exhausted: false, asking: undefined }
      shares.set(name, share)
    }
    // A clock that is ahead of ours has begun the next window already: never back.
    if (window > share.window) Object.assign(share, { window, left: 0, used: 0, spent: 0, unreported: 0, exhausted: false })
    return share
  }

  /** Asks for the next grant. Resolves when there is one, there is none, or the broker is away. */
  async function ask(keyId: string, quota: Quota, share: Share): Promise<void> {
    const { window } = share
    let granted = 0
    try {
      const told = share.unreported
      const raising = counters.raise(`${keyId}.${quota.name}`, window, (count) => {
        granted = decideGrant(count + told, quota.limit)
        return told + granted
      })
      const raised = await soon(raising)
      if (isAway) log.info('limits of API keys are counted over all replicas again')
      isAway = false
      // The window ended while we asked: the grant went with it, unless the others are in the next one and granted that.
      if (share.window > raised.window) return
      if (share.window < raised.window) Object.assign(share, { window: raised.window, left: 0, spent: 0, exhausted: false })
      share.unreported -= Math.min(told, share.unreported)
      share.used = raised.before + raised.by
      share.left += granted
      share.exhausted = granted === 0
    } catch (error) {
      if (!isAway) log.warn({ err: describe(error) }, 'limits of API keys are counted by each replica alone')
      isAway = true
      awayUntil = performance.now() + pauseMs
    }
  }

  async function take(keyId: string, quota: Quota): Promise<boolean> {
    for (;;) {
      const share = shareOf(keyId, quota)
      if (share.left > 0) {
        share.left--
        share.spent++
        return true
      }
      if (share.exhausted) return false
      if (performance.now() < awayUntil) {
        if (share.spent >= quota.limit) return false
        share.spent++
        share.unreported++
        return true
      }
      share.asking ??= ask(keyId, quota, share).finally(() => {
        share.asking = undefined
      })
      await share.asking
    }
  }

  function stateOf(keyId: string, quota: Quota): QuotaState {
    const share = shareOf(keyId, quota)
    const remaining = quota.limit - (isAway ? share.spent : share.used) + (isAway ? 0 : share.left)
    return {
      ...quota,
      remaining: Math.max(0, Math.min(quota.limit, remaining)),
      resetSeconds: secondsLeft(quota, share.window, now()),
    }
  }

  return {
    async admit(keyId, limits) {
      const quotas = quotasOf(limits)
      const taken: Quota[] = []
      let refused: Quota | undefined
      for (const quota of quotas) {
        if (await take(keyId, quota)) {
          taken.push(quota)
          continue
        }
        refused = quota
        // A call that the day refuses has not used up its minute.
        for (const other of taken) giveBack(shareOf(keyId, other))
        break
      }
      const states = quotas.map((quota) => stateOf(keyId, quota))
      return { refusedBy: states.find((state) => state.name === refused?.name), states }
    },
  }
}

function giveBack(share: Share): void {
  // The window may have changed since: then there is nothing to give back.
  if (share.spent === 0) return
  share.spent--
  if (share.unreported > 0) share.unreported--
  else share.left++
}

async function soon<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The broker did not answer in time.')), patienceMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
