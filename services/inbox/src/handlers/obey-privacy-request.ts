import { privacyRequested } from '@parley/contracts'
import { on } from '../app.ts'
import { lockCustomersOfPhone } from '../db/erasures.ts'
import { noteEvent } from '../db/event-notes.ts'
import { phoneToErase } from '../rules/privacy-request.ts'
import { eraseCustomer } from '../steps/erase-customer.ts'

/** A shop passed on that somebody wants to be forgotten: who writes to us from that number is, as if they had asked us. */
export const obeyPrivacyRequest = on('obey-privacy-request', privacyRequested, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const now = app.now()
  const phone = phoneToErase(data)
  if (phone === undefined) return await noteEvent(tx, event, 'needs_person', now)
  const customers = await lockCustomersOfPhone(tx, organizationId, phone)
  if (customers.length === 0) return await noteEvent(tx, event, 'nothing_to_erase', now)
  // Nobody is told, so there is no message to keep: the event's id is none of any message.
  const demand = { requestedAt: new Date(data.requestedAt), keepMessageId: event.id, now }
  for (const customer of customers) await eraseCustomer(context, organizationId, customer, demand)
})
