import { consentChanged } from '@parley/contracts'
import type { Emit, Later, Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import { recordConsent } from '../db/consents.ts'
import type { LockedConversation } from '../db/conversations.ts'
import type { DB } from '../db/types.ts'
import type { ConsentCommand } from '../rules/consent-command.ts'
import { consentWording } from '../rules/consent-wording.ts'
import { addOutgoing } from './add-outgoing.ts'
import { eraseCustomer } from './erase-customer.ts'
import { handOver } from './hand-over.ts'

type Tools = { app: App; tx: Tx<DB>; emit: Emit; later: Later }
type Heard = { messageId: string; chatId: string; sentAt: Date; now: Date }

/** Does what a customer commands about consent, and answers in fixed words (reliability.md D40: before any model). */
export async function obeyCommand(
  tools: Tools,
  organizationId: string,
  conversation: LockedConversation,
  command: ConsentCommand,
  heard: Heard,
): Promise<void> {
  const { chatId, now } = heard
  const say = (text: string, silent: boolean) =>
    addOutgoing(tools, organizationId, conversation, { sender: 'system', text, chatId, silent, now })
  switch (command.kind) {
    case 'none':
      return
    case 'maybe_stop': {
      // A person asks; until then nothing goes out by itself: no answer of an agent, and nothing that is marketing.
      await changeConsent(tools, organizationId, conversation, doubt, heard, ['marketing'])
      const note =
        'These words may mean that the customer wants no more messages. Marketing is stopped; please ask them about the rest.'
      await handOver(tools, organizationId, conversation, { reason: 'asked_for_person', note, turnId: null, at: now })
      return
    }
    case 'ask':
      await say(consentWording('erase_question', command.language), false)
      return
    case 'stop':
    case 'start': {
      const changed = await changeConsent(tools, organizationId, conversation, command, heard)
      // Said once: two machines would confirm STOP to each other for ever.
      if (changed) await say(consentWording(command.kind === 'stop' ? 'stopped' : 'started', command.language), false)
      return
    }
    case 'erase': {
      const keepMessageId = await say(consentWording('erased', command.language), true)
      if (keepMessageId === undefined) throw new Error('The confirmation of an erasure was there before the erasure.')
      await eraseCustomer(tools, organizationId, conversation, { requestedAt: heard.sentAt, keepMessageId, now })
      return
    }
  }
}

const doubt = { kind: 'stop', word: 'STOP?', language: 'en' } as const

/** STOP and START speak of everything: answers of the agent as well as campaigns. True when either changed. */
async function changeConsent(
  { tx, emit }: Tools,
  organizationId: string,
  { customerId, channel }: LockedConversation,
  command: Extract<ConsentCommand, { kind: 'stop' | 'start' | 'erase' }>,
  { messageId, sentAt, now }: Heard,
  purposes: readonly ('conversation' | 'marketing')[] = ['conversation', 'marketing'],
): Promise<boolean> {
  const state = command.kind === 'start' ? 'granted' : 'withdrawn'
  const wording = command.word
  let anyChanged = false
  for (const purpose of purposes) {
    const statement = { customerId, channel, purpose, state, wording, messageId, statedAt: sentAt, recordedAt: now } as const
    const { changed } = await recordConsent(tx, organizationId, statement)
    if (!changed) continue
    anyChanged = true
    emit(consentChanged, { customerId, channel, purpose, state, wording, messageId, changedAt: sentAt.toISOString() })
  }
  return anyChanged
}
