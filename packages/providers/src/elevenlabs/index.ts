export { elevenlabsWebhook } from './webhook.ts'
export { type StreamedCheck, startSignatureCheck } from './webhook-signature.ts'
