export { webhookAdapters } from './adapters.ts'
export { openWebhook } from './open.ts'
export {
  type Normalised,
  type NormalisedItem,
  type NormaliseInput,
  ShapeError,
  type StoredObject,
  type Verdict,
  type WebhookAdapter,
  type WebhookHeaders,
  type WebhookRequest,
  type WebhookSecrets,
} from './types.ts'
