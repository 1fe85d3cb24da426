export interface ProviderRateLimit {
  remaining: number
  resetAt: string
}

const remainingNames = ['x-ratelimit-remaining-requests', 'x-ratelimit-remaining', 'ratelimit-remaining']
const resetNames = ['x-ratelimit-reset-requests', 'x-ratelimit-reset', 'ratelimit-reset']
const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What a provider's answer says of its own limit, in the spellings that providers use; null when it says nothing useful. */
export function readRateLimit(headers: Readonly<Record<string, string>>, now: Date): ProviderRateLimit | null {
  const remaining = Number(first(headers, remainingNames) ?? Number.NaN)
  const resetAt = readReset(first(headers, resetNames), now)
  // Azure sends -1 for "unknown".
  if (!Number.isInteger(remaining) || remaining < 0 || remaining > 2_147_483_647 || resetAt === null) return null
  return { remaining, resetAt: resetAt.toISOString() }
}

const first = (headers: Readonly<Record<string, string>>, names: readonly string[]) =>
  names.map((name) => headers[name]).find((value) => value !== undefined && value !== '')

/** Seconds from now, seconds since 1970, or a length of time as `6m0s`. */
function readReset(text: string | undefined, now: Date): Date | null {
  if (text === undefined) return null
  const number = Number(text)
  const ms = Number.isFinite(number) ? (number > 1e9 ? number * 1_000 - now.getTime() : number * 1_000) : lengthOf(text)
  return ms === null || ms < 0 || ms > 31 * 86_400_000 ? null : new Date(now.getTime() + ms)
}

function lengthOf(text: string): number | null {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd])){1,5}$/.test(text)) return null
  let ms = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
    ms += Number(amount) * (unitMs[unit as string] ?? 0)
  return ms
}
