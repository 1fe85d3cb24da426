export { tavusWebhook } from './webhook.ts'
