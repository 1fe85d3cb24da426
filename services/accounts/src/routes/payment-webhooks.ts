import { parseJson } from '@parley/contracts/json'
import { type PaymentEvent, type PaymentWebhook, paymentWebhooks } from '@parley/providers/payments'
import { AppError, type Service } from '@parley/runtime'
import type { App } from '../app.ts'
import { applyPayment } from '../steps/apply-payment.ts'

type HttpServer = Parameters<NonNullable<Service['plugin']>>[0]

const bodyLimitBytes = 64 * 1024
const perMinute = 600

/**
 * The door for payment providers: signed by the secret that the installation shares with them, and bound to an organization and a
 * transaction by what is signed. It answers once the books are written. No route, because the signature is over the bytes as they came.
 */
export async function paymentDoor(scope: HttpServer, app: App): Promise<void> {
  const secrets = [app.config.ACCOUNTS_PAYMENT_SECRET, app.config.ACCOUNTS_PAYMENT_SECRET_PREVIOUS].flatMap(
    (secret) => secret?.reveal() ?? [],
  )
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  scope.route({
    method: 'POST',
    url: '/v1/payment-webhooks/:provider',
    bodyLimit: bodyLimitBytes,
    config: { rateLimit: { max: perMinute, timeWindow: 60_000 } },
    handlerTimeout: 8_000,
    handler: async (request, reply) => {
      const { provider } = request.params as { provider: string }
      const webhook = Object.hasOwn(paymentWebhooks, provider) ? paymentWebhooks[provider] : undefined
      // Without a secret nothing could be verified, so there is no door.
      if (!webhook || secrets.length === 0) throw new AppError('not_found', 'No payment provider of that name.')
      const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const verdict = webhook.verify({ headers: request.headers, rawBody }, secrets, app.now())
      if (!verdict.ok)
        throw new AppError('unauthenticated', 'The signature is missing, wrong or too old.', { cause: verdict.reason })
      const event = eventIn(webhook, request.headers, rawBody)
      const from = { ip: request.ip, userAgent: request.headers['user-agent']?.slice(0, 512) ?? null }
      const call = {
        requestId: request.id,
        actor: { kind: 'system' as const, id: `payments:${provider}` },
        from,
        action: 'POST /v1/payment-webhooks/:provider',
      }
      const outcome =
        event === null
          ? 'ignored'
          : await app.database.commit(
              { organizationId: event.organizationId, correlationId: request.id, call },
              async (tx, tools) => await applyPayment(tx, tools, app, provider, event),
            )
      return reply.code(200).send({ received: true, outcome })
    },
  })
}

function eventIn(
  webhook: PaymentWebhook,
  headers: Record<string, string | string[] | undefined>,
  rawBody: Buffer,
): PaymentEvent | null {
  const { value: body } = parseJson(rawBody, { duplicateKeys: 'refuse' })
  try {
    return webhook.normalise({ headers, body })
  } catch (cause) {
    throw new AppError('unprocessable', 'The body is not of the shape that its type promises.', { cause })
  }
}
