/** A signing key, without what is secret of it. */
export interface KeyDates {
  kid: string
  activeFrom: Date
  trustedUntil: Date | null
}

/** Access tokens live this long; a removed member is out sooner, because membership is looked up for each call. */
export const accessTokenMs = 600_000
const day = 86_400_000
const rotateAfterMs = 30 * day
/** A key is published so long before it signs: every service has heard of it by then, and every cache of the JWKS is older. */
export const publishAheadMs = day
/** Clocks of other machines. */
const skewMs = 120_000

export interface Rotation {
  /** Make a key that signs from then on. */
  create: Date | null
  /** Keys that sign no more, and until when their tokens are taken. */
  retire: { kid: string; trustedUntil: Date }[]
  /** Keys whose last token has expired: their private part can go. */
  forget: string[]
}

/**
 * The key that signs at `now`: of those that are active, the latest. The only one there is signs already when its time has not come by
 * our clock: another replica made it a moment ago, by a clock ahead of ours or while we waited for it. `lost`: keys whose private part
 * opens no more.
 */
export function signingKeyAt<Key extends KeyDates>(
  keys: readonly Key[],
  now: Date,
  lost: readonly string[] = [],
): Key | undefined {
  const able = keys.filter((key) => key.trustedUntil === null && !lost.includes(key.kid))
  if (keys.length === 1) return able[0]
  return able.filter((key) => key.activeFrom <= now).toSorted((a, b) => b.activeFrom.getTime() - a.activeFrom.getTime())[0]
}

/**
 * What is to be done about the signing keys now; doing it twice changes nothing. `lost`: keys whose private part opens no more; they end,
 * and when none is left the next one signs at once.
 */
export function decideRotation(keys: readonly KeyDates[], now: Date, lost: readonly string[] = []): Rotation {
  const able = keys.filter(({ kid }) => !lost.includes(kid))
  const current = signingKeyAt(keys, now, lost)
  const waiting = able.some((key) => key.activeFrom > now && key.trustedUntil === null)
  const due = current === undefined ? now : new Date(current.activeFrom.getTime() + rotateAfterMs)
  const create =
    current === undefined
      ? now
      : !waiting && due.getTime() - publishAheadMs <= now.getTime()
        ? // Late is better than sudden: the next key is always known a day before it signs.
          new Date(Math.max(due.getTime(), now.getTime() + publishAheadMs))
        : null
  return {
    create,
    retire: keys
      .filter((key) => key.trustedUntil === null && (key.activeFrom <= now || lost.includes(key.kid)) && key !== current)
      .map((key) => ({ kid: key.kid, trustedUntil: new Date(now.getTime() + accessTokenMs + skewMs) })),
    forget: keys.filter((key) => key.trustedUntil !== null && key.trustedUntil <= now).map((key) => key.kid),
  }
}
