import { randomUUIDv7 } from 'node:crypto'
import { messageFailed } from '@parley/contracts'
import { on } from '../app.ts'
import { noteEvent } from '../db/event-notes.ts'
import { applyStatusOfMessage } from '../db/message-status.ts'
import { emitStatus } from '../steps/apply-changes.ts'

/** A message of ours will not go out. One that a person overtook was not a failure: it was dropped. */
export const markFailed = on('mark-failed', messageFailed, async ({ event, app, tx, emit }) => {
  const { organizationId, data } = event
  const { messageId, reason, detail, failedAt } = data
  const errors = [{ code: reason, message: detail }]
  const effect = await applyStatusOfMessage(tx, organizationId, messageId, {
    status: reason === 'overtaken_by_person' ? 'dropped' : 'failed',
    errors,
    changedAt: new Date(failedAt),
    historyId: randomUUIDv7(),
    failure: { reason, detail, uncertain: reason === 'unknown_outcome' },
  })
  if (!effect) return await noteEvent(tx, event, 'unknown_message', app.now())
  if (effect.applied) emitStatus(emit, effect, errors, failedAt)
})
