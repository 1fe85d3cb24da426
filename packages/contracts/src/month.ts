/** `YYYY-MM-01`: a calendar month as an organization lives it. */
export type Month = string

interface Zone {
  format: Intl.DateTimeFormat
  /** What was asked last: since 1973 every clock on Earth is whole minutes off UTC, so a minute lies in one month. */
  asked?: { minute: number; month: Month }
  started?: { month: Month; at: Date }
}

const mostZones = 1_000
const minuteMs = 60_000
const wholeMinutesSince = Date.UTC(1973, 0)
const zones = new Map<string, Zone>()

/** Making a formatter costs a hundred times its use, and there are some 600 zones. */
function zoneOf(timezone: string): Zone {
  const known = zones.get(timezone)
  if (known) return known
  if (zones.size >= mostZones) zones.clear()
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, calendar: 'gregory', year: 'numeric', month: '2-digit' })
  const zone: Zone = { format }
  zones.set(timezone, zone)
  return zone
}

/** The month that the calendar on the wall shows in `timezone` (IANA) at that moment. Throws RangeError for an unknown zone. */
export function monthOf(at: Date, timezone: string): Month {
  const zone = zoneOf(timezone)
  const minute = Math.floor(at.getTime() / minuteMs)
  if (zone.asked?.minute === minute) return zone.asked.month
  const parts = zone.format.formatToParts(at)
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? ''
  const month = `${of('year').padStart(4, '0')}-${of('month')}-01`
  if (at.getTime() >= wholeMinutesSince) zone.asked = { minute, month }
  return month
}

const dayMs = 86_400_000

/**
 * The first moment of a month in `timezone`. Searched rather than computed: where clocks jump at midnight the first of a month may
 * begin at 01:00, and offsets reach from -12 to +14 hours with half and quarter hours between.
 */
export function startOfMonth(month: Month, timezone: string): Date {
  const zone = zoneOf(timezone)
  if (zone.started?.month !== month) zone.started = { month, at: searchStart(month, timezone) }
  return new Date(zone.started.at)
}

function searchStart(month: Month, timezone: string): Date {
  const utc = Date.parse(`${month}T00:00:00.000Z`)
  let [before, after] = [utc - dayMs, utc + dayMs]
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (monthOf(new Date(middle), timezone) < month) before = middle
    else after = middle
  }
  return new Date(after)
}
