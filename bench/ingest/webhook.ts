import { textWebhook } from '../lib/webhook.ts'

/** Where a side takes webhooks. */
export interface Door {
  url: string
  path: string
  headers: Record<string, string>
}

export const webhookBody = textWebhook(
  'Hello, where is my order 1042? It was promised for Tuesday and I have heard nothing since.',
)
