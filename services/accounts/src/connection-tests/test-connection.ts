import { type Dispatcher, openGuardedAgent } from '@parley/providers/http'
import { fieldsOf } from '../connection-fields.ts'
import { redact } from '../rules/connection-mask.ts'
import { askHttp, type Question } from './ask-http.ts'
import { askMailServer } from './ask-mail-server.ts'
import { askWhapi } from './ask-whapi.ts'
import type { ConnectionTest, ConnectionUnderTest } from './outcome.ts'

export interface Tester {
  dispatcher: Dispatcher
  trusted: readonly string[]
  now(): Date
  close(): Promise<void>
}

export function openTester(trusted: readonly string[], now: () => Date): Tester {
  const dispatcher = openGuardedAgent({ trusted })
  return { dispatcher, trusted, now, close: () => dispatcher.destroy() }
}

/** Tries credentials by one harmless call to their provider, within five seconds. Never throws for what the world does. */
export async function testConnection(tester: Tester, connection: ConnectionUnderTest): Promise<ConnectionTest> {
  const test = await ask(tester, connection)
  return { ...test, detail: test.detail === null ? null : redact(test.detail, connection.credentials) }
}

async function ask(tester: Tester, connection: ConnectionUnderTest): Promise<ConnectionTest> {
  const { provider, accountId, settings, credentials } = connection
  const base = fieldsOf(provider).destination(settings, accountId)
  const key = (field: string) => credentials[field] ?? ''
  const http = (question: Question) => askHttp(tester.dispatcher, question, tester.now())
  switch (provider) {
    case 'whapi':
      return askWhapi(tester.dispatcher, base, key('token'))
    case 'shopify':
      return http({
        method: 'POST',
        url: `${base}/admin/api/${String(settings['apiVersion'])}/graphql.json`,
        headers: { 'x-shopify-access-token': key('accessToken'), 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ shop { myshopifyDomain } }' }),
        // No shop of that name: nothing will ever answer there.
        refusedBy: [402, 404, 423],
        judge: (body) => judgeShop(body, accountId),
      })
    case 'elevenlabs':
      return http({ url: `${base}/v1/convai/conversations?page_size=1`, headers: { 'xi-api-key': key('apiKey') } })
    case 'tavus':
      return http({ url: `${base}/conversations?limit=1`, headers: { 'x-api-key': key('apiKey') } })
    case 'openai':
      return http({
        url: `${base}/models`,
        headers: { authorization: `Bearer ${key('apiKey')}` },
        // Servers that offer the models of many makers list hundreds of kilobytes.
        maxAnswerBytes: 1024 * 1024,
        judge: (body) => judgeModels(body, settings['model']),
      })
    case 'twilio':
      return http({
        url: `${base}/2010-04-01/Accounts/${accountId ?? ''}.json`,
        headers: { authorization: `Basic ${Buffer.from(`${accountId ?? ''}:${key('authToken')}`).toString('base64')}` },
        refusedBy: [404],
      })
    case 'sendgrid':
      return http({ url: `${base}/v3/scopes`, headers: { authorization: `Bearer ${key('apiKey')}` } })
    case 'slack':
      return http({
        method: 'POST',
        url: `${base}/auth.test`,
        headers: { authorization: `Bearer ${key('botToken')}`, 'content-type': 'application/json' },
        body: '{}',
        judge: judgeSlack,
      })
    case 'smtp':
      return askMailServer(settings, credentials, tester.trusted)
    case 'custom':
      return { outcome: 'untested', detail: null, rateLimit: null }
  }
}

type Judged = Pick<ConnectionTest, 'outcome' | 'detail'>

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined

/** A shop answers 200 to what it would not do, too (providers.md §3). */
function judgeShop(body: unknown, accountId: string | null): Judged {
  const domain = field(field(field(body, 'data'), 'shop'), 'myshopifyDomain')
  if (typeof domain !== 'string') return { outcome: 'unreachable', detail: 'The shop gave no answer to the question who it is.' }
  if (domain.toLowerCase() === accountId) return { outcome: 'ok', detail: null }
  return { outcome: 'refused', detail: `The token belongs to another shop (${domain}).` }
}

/** A wrong address answers 200 with a page; a right one lists models. */
function judgeModels(body: unknown, model: unknown): Judged {
  const list = field(body, 'data')
  if (!Array.isArray(list)) return { outcome: 'unreachable', detail: 'There is no list of models at that address.' }
  const isOffered = typeof model !== 'string' || list.some((entry) => field(entry, 'id') === model)
  return { outcome: 'ok', detail: isOffered ? null : `The key is good, but ${model} is not among the models that it may use.` }
}

const slackTrouble = new Set(['ratelimited', 'internal_error', 'fatal_error', 'service_unavailable', 'request_timeout'])

/** Slack says no with 200 and `ok: false`. */
function judgeSlack(body: unknown): Judged {
  if (field(body, 'ok') === true) return { outcome: 'ok', detail: null }
  const error = field(body, 'error')
  if (typeof error !== 'string') return { outcome: 'unreachable', detail: 'Slack gave an unreadable answer.' }
  return { outcome: slackTrouble.has(error) ? 'unreachable' : 'refused', detail: `Slack says ${error}.` }
}
