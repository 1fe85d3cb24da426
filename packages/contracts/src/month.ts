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
