import { parseJson } from '@parley/contracts/json'
import type { Verdict, WebhookAdapter, WebhookRequest, WebhookSecrets } from './types.ts'

/**
 * Verifies a delivery, then parses it and checks that it is about the source's own account: the order that never hands
 * unverified bytes to a parser. Throws BodyError when authentic bytes are not readable JSON.
 */
export function openWebhook(
  adapter: WebhookAdapter,
  request: WebhookRequest,
  secrets: WebhookSecrets,
): { verdict: Verdict & { ok: false } } | { verdict: Verdict & { ok: true }; body: unknown; repaired: boolean } {
  const verdict = adapter.verify(request, secrets)
  if (!verdict.ok) return { verdict }
  const { value, repaired } = parseJson(request.rawBody, adapter.limits)
  const ownAccount = adapter.checkAccount(value, secrets)
  return ownAccount.ok ? { verdict: ownAccount, body: value, repaired } : { verdict: ownAccount }
}
