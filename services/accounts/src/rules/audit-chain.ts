/** What a link of the chain seals. Every column of the entry is in it: what is left out could be changed unseen. */
export interface SealedEntry {
  entryId: string
  requestId: string
  actorKind: string
  actorId: string
  ip: string | null
  userAgent: string | null
  /** ISO 8601, in milliseconds. */
  at: string
  action: string
  resourceType: string
  resourceId: string
  before: unknown
  after: unknown
  reason: string | null
}

/** A link as it is stored: `hash` is over all of it, the previous hash and the entry. */
export interface Link {
  sequence: number
  entryId: string
  previousHash: string
  hash: string
  sealedAt: string
}

/** Where a chain stands. */
export interface Head {
  sequence: number
  hash: string
}

/** Before the first link. */
export const genesis: Head = { sequence: 0, hash: '0'.repeat(64) }

/** SHA-256 of a text in hex; an argument, because a rule imports no library. */
export type Digest = (text: string) => string

type BreakKind =
  /** The entry is not what was sealed. */
  | 'edited'
  /** A link or its entry is gone. */
  | 'deleted'
  /** A link stands where it was not sealed. */
  | 'reordered'
  /** A link was sealed after another one than the one before it. */
  | 'inserted'
  /** The chain ends before its head. */
  | 'truncated'
  /** The chain ends where its head says, with another hash; or goes on after it. */
  | 'rewritten'
  /** An entry has no link and waits for none. */
  | 'unlinked'

export interface Break {
  kind: BreakKind
  sequence: number
  /** Null when there is nothing left to name. */
  entryId: string | null
}

/** JSON with sorted keys: the same value is the same text, whatever wrote it. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`
}

/** The hash of a link. The organization is in it, so that a chain cannot be copied to another one. */
export function linkHash(digest: Digest, organizationId: string, link: Omit<Link, 'hash'>, entry: SealedEntry): string {
  const { sequence, previousHash, sealedAt } = link
  return digest(canonicalJson({ version: 1, organizationId, sequence, previousHash, sealedAt, entry }))
}

/** The links that seal `entries` after `head`, in their order. */
export function sealEntries(
  digest: Digest,
  organizationId: string,
  head: Head,
  entries: readonly SealedEntry[],
  sealedAt: string,
): Link[] {
  let last = head
  return entries.map((entry) => {
    const link = { sequence: last.sequence + 1, entryId: entry.entryId, previousHash: last.hash, sealedAt }
    const sealed = { ...link, hash: linkHash(digest, organizationId, link, entry) }
    last = sealed
    return sealed
  })
}

/** A link with its entry; undefined when the entry is gone. */
export interface Stored {
  link: Link
  entry: SealedEntry | undefined
}

/** Follows a page of the chain from `head`. Answers the new head, or the first link that does not hold. */
export function followChain(
  digest: Digest,
  organizationId: string,
  head: Head,
  page: readonly Stored[],
): { head: Head; broken: Break | null } {
  let last = head
  for (const { link, entry } of page) {
    const kind = breakOf(digest, organizationId, last, link, entry)
    if (kind === 'deleted' && link.sequence !== last.sequence + 1) {
      return { head: last, broken: { kind, sequence: last.sequence + 1, entryId: null } }
    }
    if (kind) {
      const moved = kind === 'edited' && page.some((other) => fits(digest, organizationId, other.link, entry))
      return { head: last, broken: { kind: moved ? 'reordered' : kind, sequence: link.sequence, entryId: link.entryId } }
    }
    last = { sequence: link.sequence, hash: link.hash }
  }
  return { head: last, broken: null }
}

function breakOf(
  digest: Digest,
  organizationId: string,
  last: Head,
  link: Link,
  entry: SealedEntry | undefined,
): BreakKind | undefined {
  if (link.sequence !== last.sequence + 1 || !entry) return 'deleted'
  if (linkHash(digest, organizationId, link, entry) !== link.hash) return 'edited'
  return link.previousHash === last.hash ? undefined : 'inserted'
}

/** True when this entry is what that link sealed: it was moved, not changed. */
function fits(digest: Digest, organizationId: string, link: Link, entry: SealedEntry | undefined): boolean {
  return entry !== undefined && linkHash(digest, organizationId, link, entry) === link.hash
}

/** Holds the end of what was followed against the head that was noted when it was sealed. `last`: the highest sequence there is. */
export function checkEnd(followed: Head, noted: Head, last: number): Break | null {
  if (followed.sequence < noted.sequence) return { kind: 'truncated', sequence: followed.sequence + 1, entryId: null }
  if (last > noted.sequence) return { kind: 'rewritten', sequence: noted.sequence + 1, entryId: null }
  return followed.hash === noted.hash ? null : { kind: 'rewritten', sequence: noted.sequence, entryId: null }
}
