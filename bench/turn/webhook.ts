import { textWebhook } from '../lib/webhook.ts'

/** A greeting from a customer whom nobody has met before: the simulated model answers it itself. */
export const greetingBody = textWebhook('Hello, good morning to you!')

/** The number in a chat's id that `greetingBody` was made with. */
export const numberOfChat = (chatId: string) => Number(chatId.split('@')[0]?.slice(2))
