import { startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WebhookTarget } from '@parley/providers/whapi'
import { serveWorker } from '../lib/worker.ts'
import { channelId } from '../lib/webhook.ts'
import { numberOfChat } from './webhook.ts'

export interface Outside {
  gatewayUrl: string
  gatewayToken: string
  modelUrl: string
}

/** The phone and the model, in a process of their own: they share the two cores, but not our process. */
serveWorker(async () => {
  const gatewayToken = 'bench-gateway-token'
  const phone = await startWhapiSimulator({ token: gatewayToken, channelId })
  const model = await startModelSimulator({ latencyMs: 0, maxLedger: 100 })
  let webhook: WebhookTarget | undefined
  let taken = 0
  const outside: Outside = { gatewayUrl: phone.url, gatewayToken, modelUrl: model.baseUrl }
  return {
    ready: outside,
    calls: {
      async setWebhook(target: WebhookTarget) {
        webhook = target
      },
      /** With callbacks, each send comes back as an echo and four statuses: five more webhooks. */
      async callbacks(on: boolean) {
        phone.setWebhook(on ? webhook : undefined)
      },
      count: async () => phone.sent.length,
      /** What was sent since the last call: number of the customer, epoch milliseconds. */
      async arrivals() {
        const fresh = phone.sent.slice(taken).map((entry): [number, number] => [numberOfChat(entry.chatId), entry.at.getTime()])
        taken += fresh.length
        return fresh
      },
      acknowledged: async () => phone.acknowledged(120_000),
    },
    async close() {
      await phone.close()
      await model.close()
    },
  }
})
