import { conversationHandedOver } from '@parley/contracts'
import type { Emit, Tx } from '@parley/runtime'
import { type Handover, recordHandover, setHandedOver } from '../db/conversations.ts'
import type { DB } from '../db/types.ts'

/** Gives an open conversation to a person and says so once; one that a person has already, or a closed one, stays as it is. */
export async function handOver(
  { tx, emit }: { tx: Tx<DB>; emit: Emit },
  organizationId: string,
  conversation: { id: string; customerId: string },
  handover: Handover,
): Promise<void> {
  if (await setHandedOver(tx, organizationId, conversation.id, handover)) emitHandedOver(emit, conversation, handover)
}

export function emitHandedOver(
  emit: Emit,
  conversation: { id: string; customerId: string },
  { reason, note, at }: Omit<Handover, 'turnId'>,
): void {
  const { id: conversationId, customerId } = conversation
  emit(conversationHandedOver, { conversationId, customerId, reason, note, handedOverAt: at.toISOString() })
}

/** A person wrote and has the conversation with that: remembers it and says so. */
export async function noteTakenOver(
  { tx, emit }: { tx: Tx<DB>; emit: Emit },
  organizationId: string,
  conversation: { id: string; customerId: string },
  at: Date,
): Promise<void> {
  const handover = { reason: 'person_took_over' as const, note: null, turnId: null, at }
  await recordHandover(tx, organizationId, conversation.id, handover)
  emitHandedOver(emit, conversation, handover)
}
