/** What somebody may send in a minute. */
interface PerMinute {
  messages: number
  bytes: number
}

interface Account {
  messages: number
  bytes: number
  atMs: number
}

export interface Allowance {
  /** In how many seconds they may send again; 0: now. */
  secondsLeft(holder: string): number
  /** Takes what came from their minute. One delivery may overdraw it: how much it holds is known only once it is read. */
  spend(holder: string, messages: number, bytes: number): void
}

const mostAccounts = 50_000

/**
 * A minute's worth for each holder, filled evenly. In the memory of one replica: two let in at most twice as much, and no delivery
 * waits for a count that is shared.
 */
export function createAllowance(perMinute: PerMinute, clock = () => performance.now()): Allowance {
  const accounts = new Map<string, Account>()

  function accountOf(holder: string): Account {
    const nowMs = clock()
    const account = accounts.get(holder)
    if (account === undefined) return { ...perMinute, atMs: nowMs }
    const minutes = (nowMs - account.atMs) / 60_000
    account.messages = Math.min(perMinute.messages, account.messages + minutes * perMinute.messages)
    account.bytes = Math.min(perMinute.bytes, account.bytes + minutes * perMinute.bytes)
    account.atMs = nowMs
    return account
  }

  return {
    secondsLeft(holder) {
      const { messages, bytes } = accountOf(holder)
      const missing = Math.max((1 - messages) / perMinute.messages, (1 - bytes) / perMinute.bytes)
      return Math.max(0, Math.ceil(missing * 60))
    },
    spend(holder, messages, bytes) {
      const account = accountOf(holder)
      account.messages -= messages
      account.bytes -= bytes
      // Put at the end, so that the first is who has been quiet for longest.
      accounts.delete(holder)
      accounts.set(holder, account)
      const quietest = accounts.keys().next()
      if (accounts.size > mostAccounts && !quietest.done) accounts.delete(quietest.value)
    },
  }
}
