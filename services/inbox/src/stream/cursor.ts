/** A place in the outbox, in commit order: transactions by number, rows within one by theirs. Both exceed what a number holds. */
export interface Cursor {
  xid: bigint
  seq: bigint
}

/** A place, and when it was told: what lies far enough behind is forgotten. */
export interface Told {
  cursor: Cursor
  /** Null in ids of before they said so. */
  at: Date | null
}

/** The SSE id of an event: `<xid>-<seq>-<seconds since 1970>`. */
export function formatCursor({ xid, seq }: Cursor, at: Date): string {
  return `${xid}-${seq}-${Math.floor(at.getTime() / 1_000)}`
}

/** Reads an SSE id; undefined when it is none of ours. */
export function parseCursor(text: string): Told | undefined {
  const [, xid, seq, seconds] = /^(\d{1,19})-(\d{1,18})(?:-(\d{1,11}))?$/.exec(text) ?? []
  if (xid === undefined || seq === undefined) return undefined
  const at = seconds === undefined ? null : new Date(Number(seconds) * 1_000)
  return { cursor: { xid: BigInt(xid), seq: BigInt(seq) }, at }
}

export function isAfter(a: Cursor, b: Cursor): boolean {
  return a.xid > b.xid || (a.xid === b.xid && a.seq > b.seq)
}
