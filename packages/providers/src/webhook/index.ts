export { webhookAdapters } from './adapters.ts'
export { openWebhook } from './open.ts'
export {
  type Normalised,
  type NormalisedItem,
  type NormaliseInput,
  ShapeError,
  type StoredObject,
  type ToldState,
  type Verdict,
  type WebhookAdapter,
  type WebhookHeaders,
  type WebhookRequest,
  type WebhookSecrets,
} from './types.ts'
