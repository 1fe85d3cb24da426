import { createHmac, timingSafeEqual } from 'node:crypto'
import { accepted, bytesOfHex, refused, singleHeader } from '../webhook/signature.ts'
import type { Verdict, WebhookHeaders, WebhookRequest, WebhookSecrets } from '../webhook/types.ts'

/** The SDK's window for the past; unlike the SDK we hold the future to it as well (providers.md §5). */
const toleranceSeconds = 30 * 60

/** A check in progress over a body that is too large to hold: feed it every byte, then ask. */
export interface StreamedCheck {
  update(chunk: Uint8Array): void
  verdict(): Verdict
}

/** Reads `ElevenLabs-Signature: t=…,v0=…` before the body is there. A refusal at this point spares reading the body. */
export function startSignatureCheck(
  headers: WebhookHeaders,
  receivedAt: Date,
  secrets: WebhookSecrets,
): { refused: Verdict } | { check: StreamedCheck } {
  const sent = singleHeader(headers, 'elevenlabs-signature')
  if (sent === null) return { refused: refused(401, 'signature_missing') }
  const pairs = sent.split(',')
  const timestamp = onlyValue(pairs, 't=')
  const signature = bytesOfHex(onlyValue(pairs, 'v0=') ?? '')
  if (timestamp === null || !/^\d{1,12}$/.test(timestamp) || signature === null)
    return { refused: refused(401, 'signature_malformed') }
  const ageSeconds = receivedAt.getTime() / 1_000 - Number(timestamp)
  if (Math.abs(ageSeconds) > toleranceSeconds) return { refused: refused(401, 'signature_outside_window') }

  const macs = secrets.signing.filter((key) => key !== '').map((key) => createHmac('sha256', key).update(`${timestamp}.`))
  return {
    check: {
      update: (chunk) => macs.forEach((mac) => mac.update(chunk)),
      verdict: () => {
        const matches = macs.map((mac) => timingSafeEqual(mac.digest(), signature))
        return matches.includes(true) ? accepted : refused(401, 'signature_wrong')
      },
    },
  }
}

/** Is there a signature of our time, whatever it is over? */
export function checkSignatureHeader({ headers, receivedAt }: Omit<WebhookRequest, 'rawBody'>, secrets: WebhookSecrets): Verdict {
  const started = startSignatureCheck(headers, receivedAt, secrets)
  return 'refused' in started ? started.refused : accepted
}

export function verifySignature({ headers, receivedAt, rawBody }: WebhookRequest, secrets: WebhookSecrets): Verdict {
  const started = startSignatureCheck(headers, receivedAt, secrets)
  if ('refused' in started) return started.refused
  started.check.update(rawBody)
  return started.check.verdict()
}

/** The value behind a prefix that must occur exactly once: which of two would count is not for the sender to choose. */
function onlyValue(pairs: readonly string[], prefix: string): string | null {
  const found = pairs.filter((pair) => pair.trim().startsWith(prefix))
  return found.length === 1 && found[0] !== undefined ? found[0].slice(prefix.length) : null
}
