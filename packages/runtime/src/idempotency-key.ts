import { createHmac, hkdfSync } from 'node:crypto'
import { AppError } from './errors.ts'

/** One call that must happen once. */
export interface KeyedCall {
  organizationId: string
  /** Keys of two callers never meet, even within an organization: one would be answered with what the other may see. */
  actor: { kind: string; id: string }
  method: string
  path: string
  /** The header's text. */
  key: string
  /** Query and body, as they came. */
  request: unknown
}

/** What the header's text is turned into; it is kept nowhere itself. */
export interface DerivedKey {
  keyHash: string
  requestMac: string
  sealingKey: Uint8Array
}

/** The header of a request, or undefined when it has none. Throws AppError for one that cannot be a key. */
export function idempotencyKeyIn(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header
  throw new AppError('invalid', 'An Idempotency-Key is 1 to 255 visible ASCII characters, sent once.', {
    details: [{ field: 'headers.idempotency-key', problem: 'is no Idempotency-Key' }],
  })
}

/**
 * Three independent values out of the key: the name of the row tells nothing of the key that opens its answer, and the request is
 * kept as a keyed hash, because a short body (a password) could be guessed from a plain one.
 */
export function deriveKey(call: KeyedCall): DerivedKey {
  const scope = JSON.stringify([call.organizationId, call.actor.kind, call.actor.id, call.method, call.path])
  const bytes = Buffer.from(hkdfSync('sha256', call.key, scope, 'parley idempotency key', 96))
  const request = JSON.stringify(call.request)
  return {
    keyHash: bytes.subarray(0, 32).toString('base64url'),
    requestMac: createHmac('sha256', bytes.subarray(32, 64)).update(request).digest('base64url'),
    sealingKey: bytes.subarray(64),
  }
}
