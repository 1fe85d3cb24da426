import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import { MessageContent, MessageStatus, StatusError } from '../entities/message.ts'
import { ExternalId, Id, Timestamp } from '../primitives.ts'

/** Who speaks for the shop in a conversation: its agent, a person, or nobody while it is closed. */
export const ConversationStatus = z.enum(['open', 'with_person', 'closed'])
export type ConversationStatus = z.infer<typeof ConversationStatus>

export const messageUpdated = defineEvent({
  type: 'message.updated',
  version: 1,
  key: 'conversationId',
  summary: 'A message that a conversation already has looks different now: delivered, failed, edited, deleted or reacted to.',
  data: z.object({
    conversationId: Id,
    messageId: Id,
    change: z.enum(['status', 'edited', 'deleted', 'reacted', 'completed']),
    /** Its status after the change. */
    status: MessageStatus,
    errors: z.array(StatusError).max(20),
    /** Set when what it says changed: edited, or completed with the address of a file. */
    content: MessageContent.nullable(),
    /** Set for `reacted`; without an emoji the reaction was taken away. */
    reaction: z.object({ reactorId: ExternalId, fromUs: z.boolean(), emoji: z.string().max(64).nullable() }).nullable(),
    updatedAt: Timestamp,
  }),
})

export const conversationChanged = defineEvent({
  type: 'conversation.changed',
  version: 1,
  key: 'conversationId',
  summary: 'A conversation was closed, reopened, taken over by a person, given back to the agent or assigned.',
  data: z.object({
    conversationId: Id,
    customerId: Id,
    previousStatus: ConversationStatus,
    status: ConversationStatus,
    assignee: z.string().max(200).nullable(),
    /** Of its last message: what an agent based on an earlier one did not know of this change. */
    conversationVersion: z.int().min(0).optional(),
    /** The key of the caller who asked for it; null when a message from the customer reopened it. */
    changedBy: z.string().max(128).nullable(),
    changedAt: Timestamp,
  }),
})
