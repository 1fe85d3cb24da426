export { shopifyWebhook } from './webhook.ts'
