import { messageUpdated } from '@parley/contracts'
import { on } from '../app.ts'
import { changeWords } from '../db/messages.ts'
import { forgetFacts } from '../db/turns.ts'
import { takeTurn } from '../jobs/take-turn.ts'
import { messageText } from '../rules/message-text.ts'

/**
 * Words that were edited or deleted are changed here too, answered or not; what waits is answered as it reads now. A message that is not known
 * here was changed before it was told, and is told as it reads.
 */
export const noteMessageUpdated = on('note-update', messageUpdated, async ({ event, app, tx, later }) => {
  const { organizationId, data } = event
  const { conversationId, messageId, content } = data
  const isDeleted = data.change === 'deleted'
  if (!isDeleted && content === null) return
  const text = isDeleted || content === null ? '' : messageText(content)
  const changed = await changeWords(tx, organizationId, { conversationId, messageId, text })
  if (!changed) return
  // A fact is a quotation of what was deleted, for all we know.
  if (isDeleted && changed.turnId !== null) await forgetFacts(tx, organizationId, changed.turnId)
  if (!changed.wantsReply || changed.turnId !== null) return
  const startAfter = new Date(app.now().getTime() + app.config.AGENTS_QUIET_MS)
  later(takeTurn, { conversationId }, { key: conversationId, startAfter })
})
