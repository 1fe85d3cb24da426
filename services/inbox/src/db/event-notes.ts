import { randomUUIDv7 } from 'node:crypto'
import type { Event } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import type { DB } from './types.ts'

export type NoteReason =
  | 'erased'
  | 'not_theirs'
  | 'nothing_to_erase'
  | 'needs_person'
  | 'unknown_message'
  | 'unknown_conversation'

/** Why an event changed nothing: so that nothing is lost without a word. Never what it said. */
export async function noteEvent(
  tx: Tx<DB>,
  event: Pick<Event, 'id' | 'type' | 'organizationId'>,
  reason: NoteReason,
  notedAt: Date,
): Promise<void> {
  const { organizationId, id: eventId, type: eventType } = event
  await tx.insertInto('eventNotes').values({ organizationId, id: randomUUIDv7(), eventId, eventType, reason, notedAt }).execute()
}
