/** What is known of the tries of one account, address or device. */
export interface Attempts {
  failures: number
  lastAt: Date
  blockedUntil: Date
}

/** How a subject is slowed down. */
export interface Pace {
  /** Tries that cost nothing: people mistype. */
  free: number
  /** The wait after the first try that is not free; it doubles with each. */
  firstWaitMs: number
  longestWaitMs: number
  /** Tries are forgotten when there were none for so long. */
  forgetAfterMs: number
}

const minute = 60_000
const hour = 60 * minute

/**
 * An account gives a stranger 5 guesses, then one after 2 s, 4 s, … at last one in 15 minutes: about 100 a day. It never closes, and a known
 * device is counted by itself, so nobody can lock its owner out (see docs/security.md). An address may be a whole office, so it begins later.
 * Mail of one kind goes to one recipient eleven times an hour at most, whoever asks; the longest wait is shorter than a link is good, so a
 * stranger who asks for a new password all the time leaves the owner with a link that works, not without one.
 */
export const paces = {
  account: { free: 5, firstWaitMs: 2_000, longestWaitMs: 15 * minute, forgetAfterMs: 24 * hour },
  device: { free: 5, firstWaitMs: 2_000, longestWaitMs: 15 * minute, forgetAfterMs: 24 * hour },
  address: { free: 50, firstWaitMs: 1_000, longestWaitMs: 15 * minute, forgetAfterMs: hour },
  mail: { free: 2, firstWaitMs: minute, longestWaitMs: 8 * minute, forgetAfterMs: hour },
} as const satisfies Record<string, Pace>

export type Verdict = { allowed: true; next: Attempts } | { allowed: false; waitMs: number }

/**
 * Whether one more try may be made now. A try is counted as failed before its outcome is known, so that a hundred made at once are a
 * hundred; whoever succeeds takes it back. A refused try is not counted: it told nothing, and waiting would never end.
 */
export function decideAttempt(pace: Pace, known: Attempts | undefined, now: Date): Verdict {
  if (known !== undefined && known.blockedUntil > now) {
    return { allowed: false, waitMs: known.blockedUntil.getTime() - now.getTime() }
  }
  const forgotten = known === undefined || now.getTime() - known.lastAt.getTime() >= pace.forgetAfterMs
  const failures = (forgotten ? 0 : known.failures) + 1
  const beyond = failures - pace.free
  // 2^31 ms are 25 days: no pace waits that long, and the power stays a safe number.
  const waitMs = beyond < 0 ? 0 : Math.min(pace.longestWaitMs, pace.firstWaitMs * 2 ** Math.min(beyond, 31))
  // Not `now`: another try of this moment, whose clock was read a millisecond earlier, is as free as this one.
  const blockedUntil = new Date(waitMs === 0 ? 0 : now.getTime() + waitMs)
  return { allowed: true, next: { failures, lastAt: now, blockedUntil } }
}

/** Somebody behind one IPv6 connection has 2^64 addresses; they are one to us. */
export function networkOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1]
  if (mapped !== undefined) return mapped
  if (!ip.includes(':')) return ip
  const [head = '', tail] = (ip.split('%')[0] ?? '').toLowerCase().split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const whole =
    tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
  const groups = whole.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${groups.join(':')}::/64`
}
