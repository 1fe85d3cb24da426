import type { Dispatcher } from '@parley/providers/http'
import { openWhapi } from '@parley/providers/whapi'
import { type ConnectionTest, testTimeoutMs } from './outcome.ts'

/** Asks the gateway how the channel is. A phone that is not linked is a good token all the same: the owner has to scan a code. */
export async function askWhapi(dispatcher: Dispatcher, baseUrl: string, token: string): Promise<ConnectionTest> {
  const client = openWhapi({ baseUrl, token, dispatcher, timeoutMs: testTimeoutMs })
  const health = await client.health()
  switch (health.outcome) {
    case 'healthy':
      return { outcome: 'ok', detail: null, rateLimit: null }
    case 'unhealthy':
      return { outcome: 'ok', detail: `The token is good, but the phone is not linked (${health.status}).`, rateLimit: null }
    case 'unauthorised':
      return { outcome: 'refused', detail: health.message, rateLimit: null }
    case 'refused':
      return { outcome: health.status === 403 ? 'refused' : 'unreachable', detail: health.message, rateLimit: null }
    case 'retry':
      return { outcome: 'unreachable', detail: health.message, rateLimit: null }
  }
}
