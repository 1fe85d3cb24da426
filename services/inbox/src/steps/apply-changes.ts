import { randomUUIDv7 } from 'node:crypto'
import {
  type DataOf,
  messageDeleted,
  messageEdited,
  messageReacted,
  type MessageStatus,
  messageStatusChanged,
  messageUpdated,
} from '@parley/contracts'
import type { Emit, Tx } from '@parley/runtime'
import { recordDeletion, recordEdit, setReaction } from '../db/message-changes.ts'
import { applyStatusOfProvider, type StatusEffect } from '../db/message-status.ts'
import { type EarlyArrival, lockMessageOfProvider, restored } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { mayChange } from '../rules/change.ts'

/**
 * What became of a change: `unknown` when there is no such message in that chat (yet), `erased` when it may not say anything any more,
 * `not_theirs` when it was made by somebody who did not write the message.
 */
export type ChangeResult = 'done' | 'unknown' | 'erased' | 'not_theirs'

type Tools = { tx: Tx<DB>; emit: Emit }

export async function applyStatusChange(
  { tx, emit }: Tools,
  organizationId: string,
  data: DataOf<typeof messageStatusChanged>,
): Promise<ChangeResult> {
  const { status, errors, changedAt } = data
  const failure = status === 'failed' ? { reason: 'refused', detail: errors[0]?.message ?? null, uncertain: false } : null
  const report = { status, errors, changedAt: new Date(changedAt), historyId: randomUUIDv7(), failure }
  const effect = await applyStatusOfProvider(tx, organizationId, data, report)
  if (!effect) return 'unknown'
  if (effect.applied) emitStatus(emit, effect, errors, changedAt)
  return 'done'
}

export function emitStatus(
  emit: Emit,
  { conversationId, messageId, status }: StatusEffect,
  errors: DataOf<typeof messageUpdated>['errors'],
  updatedAt: string,
): void {
  emit(messageUpdated, { conversationId, messageId, change: 'status', status, errors, content: null, reaction: null, updatedAt })
}

export async function applyEdit(
  { tx, emit }: Tools,
  organizationId: string,
  data: DataOf<typeof messageEdited>,
): Promise<ChangeResult> {
  const message = await lockMessageOfProvider(tx, organizationId, data)
  if (!message) return 'unknown'
  if (message.erasedAt) return 'erased'
  if (!mayChange(message, data.author)) return 'not_theirs'
  const { text, editedAt: updatedAt } = data
  const editedAt = new Date(updatedAt)
  // The same edit may be reported twice, as an action and as a change of the message.
  if (message.text === text && message.editedAt?.getTime() === editedAt.getTime()) return 'done'
  const isLatest = message.editedAt === null || message.editedAt.getTime() <= editedAt.getTime()
  const applied = isLatest && message.deletedAt === null
  await recordEdit(tx, organizationId, message, { text, editedAt, applied })
  if (applied) {
    const content = { ...restored(message), text }
    emit(messageUpdated, { ...unchanged(message), change: 'edited', content, updatedAt })
  }
  return 'done'
}

export async function applyDeletion(
  { tx, emit }: Tools,
  organizationId: string,
  data: DataOf<typeof messageDeleted> & { providerMessageId: string },
): Promise<ChangeResult> {
  const message = await lockMessageOfProvider(tx, organizationId, data)
  if (!message) return 'unknown'
  if (message.erasedAt) return 'erased'
  if (!mayChange(message, data.author)) return 'not_theirs'
  // Deleted, not merely cleared from the phone.
  if (message.deletedAt && message.status === 'deleted') return 'done'
  await recordDeletion(tx, organizationId, message, new Date(data.deletedAt))
  emit(messageUpdated, { ...unchanged(message), status: 'deleted', change: 'deleted', updatedAt: data.deletedAt })
  return 'done'
}

export async function applyReaction(
  { tx, emit }: Tools,
  organizationId: string,
  data: DataOf<typeof messageReacted>,
): Promise<ChangeResult> {
  const { targetProviderMessageId: providerMessageId, reactorId, fromUs, emoji, reactedAt } = data
  const message = await lockMessageOfProvider(tx, organizationId, { ...data, providerMessageId })
  if (!message) return 'unknown'
  if (message.erasedAt) return 'erased'
  const reaction = { reactorId, fromUs, emoji }
  const changed = await setReaction(tx, organizationId, message.id, { ...reaction, reactedAt: new Date(reactedAt) })
  if (changed) emit(messageUpdated, { ...unchanged(message), change: 'reacted', reaction, updatedAt: reactedAt })
  return 'done'
}

function unchanged({ id: messageId, conversationId, status }: { id: string; conversationId: string; status: MessageStatus }) {
  return { conversationId, messageId, status, errors: [], content: null, reaction: null }
}

/**
 * Applies what had come before its message, which is known now, in the order in which it happened. Gives how the message
 * reads after it: `text` null when it is as it was.
 */
export async function applyEarlyArrivals(
  tools: Tools,
  organizationId: string,
  early: readonly EarlyArrival[],
): Promise<{ text: string | null; deleted: boolean }> {
  const reads = { text: null as string | null, deleted: false }
  for (const { kind, data } of early) {
    switch (kind) {
      case 'echo':
        // It said that the message exists: it does.
        break
      case 'status':
        await applyStatusChange(tools, organizationId, messageStatusChanged.schema.parse(data))
        break
      case 'edit': {
        const edit = messageEdited.schema.parse(data)
        if ((await applyEdit(tools, organizationId, edit)) === 'done') reads.text = edit.text
        break
      }
      case 'deletion': {
        const { providerMessageId, ...deletion } = messageDeleted.schema.parse(data)
        if (providerMessageId === null) break
        const result = await applyDeletion(tools, organizationId, { ...deletion, providerMessageId })
        if (result === 'done') reads.deleted = true
        break
      }
      case 'reaction':
        await applyReaction(tools, organizationId, messageReacted.schema.parse(data))
        break
    }
  }
  return reads
}
