interface Share {
  /** How many more may be claimed at once, whoever they belong to. */
  room: number
  /** Organizations that have their share already. */
  full: string[]
}

/**
 * What may be claimed next. Organizations with runs here share three quarters of the places: the last quarter is for who comes
 * next. Whoever is slow fills their own share and nobody else's. A job with a single place has nothing to share.
 */
export function decideShare(running: Iterable<string>, places: number): Share {
  const held = new Map<string, number>()
  for (const organizationId of running) held.set(organizationId, (held.get(organizationId) ?? 0) + 1)
  const shareOf = (organizations: number) => Math.max(1, Math.floor((places * 3) / 4 / Math.max(1, organizations)))
  const each = shareOf(held.size)
  // Whose runs the next look finds is not known before: it must not give anybody more than is left of their share.
  let room = shareOf(held.size + 1)
  if (held.size === 0) room = each
  let sum = 0
  const full: string[] = []
  for (const [organizationId, count] of held) {
    sum += count
    if (count >= each) full.push(organizationId)
    else room = Math.min(room, each - count)
  }
  return { room: Math.max(0, Math.min(room, places - sum)), full }
}
