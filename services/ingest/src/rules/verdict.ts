/** The receipt's part of what normalising found. */
export interface JudgedItem {
  eventType: string | null
  note: string | null
}

export interface ReceiptVerdict {
  state: 'done' | 'ignored'
  note: string | null
}

const unrecognisedType = 'webhook.unrecognised'
const longestNote = 500

/** What a receipt says of a delivery: `done` when it held a fact that somebody uses. */
export function verdictOf(items: readonly JudgedItem[]): ReceiptVerdict {
  const notes = [...new Set(items.map((item) => item.note).filter((note) => note !== null))]
  const note = notes.length === 0 ? null : notes.join(' ').slice(0, longestNote)
  if (items.length === 0) return { state: 'ignored', note: 'empty' }
  if (items.some((item) => item.eventType !== null && item.eventType !== unrecognisedType)) return { state: 'done', note }
  if (items.some((item) => item.eventType === unrecognisedType))
    return { state: 'ignored', note: note === null ? 'unrecognised' : `unrecognised: ${note}` }
  return { state: 'ignored', note: note ?? 'unused' }
}

/** What a receipt says when all it held had come before. */
export function duplicateNote(firstReceiptIds: readonly string[]): string {
  const [first, ...others] = [...new Set(firstReceiptIds)].sort()
  if (first === undefined) return 'duplicate'
  return others.length === 0 ? `duplicate of ${first}` : `duplicate of ${first} and ${others.length} more`
}

const timeFields = [
  'sentAt',
  'editedAt',
  'deletedAt',
  'reactedAt',
  'triggeredAt',
  'updatedAt',
  'endedAt',
  'startedAt',
  'recordedAt',
  'requestedAt',
]

/** When, by the provider's account, what it tells happened: the first moment that an event of it names. */
export function providerTimeOf(events: readonly unknown[]): string | null {
  for (const data of events) {
    for (const field of timeFields) {
      const value = (data as Record<string, unknown>)[field]
      if (typeof value === 'string') return value
    }
  }
  return null
}
