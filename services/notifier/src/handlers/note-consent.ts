import { consentChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { removeWithdrawal, saveWithdrawal } from '../db/guards.ts'
import { lookAgain } from '../steps/raise-guard.ts'

/** Keeps what is needed to hold back an answer that was asked for before we heard the customer's stop. */
export const noteConsent = on('note-consent', consentChanged, async (context) => {
  const { event, tx } = context
  const { customerId, channel, purpose, state } = event.data
  if (purpose !== 'conversation') return
  if (state === 'granted') return removeWithdrawal(tx, event.organizationId, customerId, channel)
  // When the inbox heard it, not when the provider stamped it: whole seconds and late deliveries would lie before the answer.
  await saveWithdrawal(tx, event.organizationId, { customerId, channel, withdrawnAt: event.time })
  await lookAgain(context, { customerId })
})
