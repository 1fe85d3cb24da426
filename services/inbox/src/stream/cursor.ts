/** A place in the outbox, in commit order: transactions by number, rows within one by theirs. Both exceed what a number holds. */
export interface Cursor {
  xid: bigint
  seq: bigint
}

/** The SSE id of an event: `<xid>-<seq>`. */
export function formatCursor({ xid, seq }: Cursor): string {
  return `${xid}-${seq}`
}

/** Reads an SSE id; undefined when it is none of ours. */
export function parseCursor(text: string): Cursor | undefined {
  const [, xid, seq] = /^(\d{1,19})-(\d{1,18})$/.exec(text) ?? []
  return xid === undefined || seq === undefined ? undefined : { xid: BigInt(xid), seq: BigInt(seq) }
}

export function isAfter(a: Cursor, b: Cursor): boolean {
  return a.xid > b.xid || (a.xid === b.xid && a.seq > b.seq)
}
