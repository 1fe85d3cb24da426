import { consentChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { removeWithdrawal, saveWithdrawal } from '../db/guards.ts'

/** Keeps what is needed to hold back an answer that was asked for before the customer said stop. */
export const noteConsent = on('note-consent', consentChanged, async ({ event, tx }) => {
  const { customerId, channel, purpose, state, changedAt } = event.data
  if (purpose !== 'conversation') return
  if (state === 'withdrawn') await saveWithdrawal(tx, event.organizationId, { customerId, channel, withdrawnAt: changedAt })
  else await removeWithdrawal(tx, event.organizationId, customerId, channel)
})
