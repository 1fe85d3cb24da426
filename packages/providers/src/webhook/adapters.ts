import type { ProviderName } from '@parley/contracts'
import { elevenlabsWebhook } from '../elevenlabs/webhook.ts'
import { shopifyWebhook } from '../shopify/webhook.ts'
import { tavusWebhook } from '../tavus/webhook.ts'
import { whapiWebhook } from '../whapi/webhook.ts'
import type { WebhookAdapter } from './types.ts'

/** The webhooks we understand, by provider. */
export const webhookAdapters: Readonly<Record<ProviderName, WebhookAdapter>> = {
  whapi: whapiWebhook,
  shopify: shopifyWebhook,
  elevenlabs: elevenlabsWebhook,
  tavus: tavusWebhook,
}
