/** `YYYY-MM-01`: a calendar month as an organization lives it. */
export type Month = string

const mostZones = 1_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** Making a formatter costs a hundred times its use, and there are some 600 zones. */
function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone)
  if (known) return known
  if (formats.size >= mostZones) formats.clear()
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, calendar: 'gregory', year: 'numeric', month: '2-digit' })
  formats.set(timezone, format)
  return format
}

/** The month that the calendar on the wall shows in `timezone` (IANA) at that moment. Throws RangeError for an unknown zone. */
export function monthOf(at: Date, timezone: string): Month {
  const parts = formatOf(timezone).formatToParts(at)
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? ''
  return `${of('year').padStart(4, '0')}-${of('month')}-01`
}

const dayMs = 86_400_000

/**
 * The first moment of a month in `timezone`. Searched rather than computed: where clocks jump at midnight the first of a month may
 * begin at 01:00, and offsets reach from -12 to +14 hours with half and quarter hours between.
 */
export function startOfMonth(month: Month, timezone: string): Date {
  const utc = Date.parse(`${month}T00:00:00.000Z`)
  let [before, after] = [utc - dayMs, utc + dayMs]
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (monthOf(new Date(middle), timezone) < month) before = middle
    else after = middle
  }
  return new Date(after)
}

export function nextMonth(month: Month): Month {
  const [year, number] = month.split('-').map(Number) as [number, number, number]
  return number === 12 ? `${year + 1}-01-01` : `${year}-${String(number + 1).padStart(2, '0')}-01`
}

/**
 * The month that a use counts towards: its own, unless that one is billed already (an event that comes more than three days late, out
 * of a replay), then the one in which we learn of it. What was used is billed once and never changes an invoice.
 */
export function chargedMonth(usedAt: Date, now: Date, timezone: string, closedThrough: Month | null): Month {
  const month = monthOf(usedAt, timezone)
  return closedThrough !== null && month <= closedThrough ? monthOf(now, timezone) : month
}
