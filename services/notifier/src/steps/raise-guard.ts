import type { HandlerContext } from '@parley/runtime'
import type { App } from '../app.ts'
import { saveGuard } from '../db/guards.ts'
import { chatsWithAnswers } from '../db/outgoing-messages.ts'
import type { DB } from '../db/types.ts'
import { sendMessage } from '../jobs/send-message.ts'

type Context = HandlerContext<App, DB, unknown>

/** From this version on a person has the conversation: what agents wanted said before is looked at again now, and dropped. */
export async function raiseGuard(context: Context, conversationId: string, version: number): Promise<void> {
  const { event, tx } = context
  await saveGuard(tx, event.organizationId, conversationId, version)
  await lookAgain(context, { conversationId })
}

/** Asks for a run for each chat with an answer that waits: a message that may not go out ends then, not when its channel works again. */
export async function lookAgain(
  { event, tx, later }: Context,
  of: { conversationId: string } | { customerId: string },
): Promise<void> {
  for (const chat of await chatsWithAnswers(tx, event.organizationId, of)) later(sendMessage, { chat, goOn: true }, { key: chat })
}
