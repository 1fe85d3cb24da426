/** What the gateway client says of a send (providers/whapi). */
export type SendOutcome =
  | { outcome: 'sent'; providerMessageId: string; sentAt: string }
  | { outcome: 'refused'; message: string }
  | { outcome: 'unauthorised'; message: string }
  | { outcome: 'retry'; afterMs: number | null; message: string }
  | { outcome: 'unknown'; message: string }

/** What the gateway client says of a look-up. */
export type LookUpOutcome =
  | { outcome: 'found'; providerMessageId: string; sentAt: string }
  | { outcome: 'absent' }
  | { outcome: 'unsure'; message: string }
  | { outcome: 'refused'; message: string }
  | { outcome: 'unauthorised'; message: string }
  | { outcome: 'retry'; afterMs: number | null; message: string }

export type EffectOutcome =
  | { outcome: 'done'; reference: string; at: Date }
  | { outcome: 'refused'; message: string }
  | { outcome: 'retry'; afterMs: number | null; message: string }
  | { outcome: 'unknown'; message: string }

/** A send as an effect. A refused token means that nothing was sent: the same message goes out once there is a new one. */
export function effectOfSend(send: SendOutcome): EffectOutcome {
  if (send.outcome === 'sent') return { outcome: 'done', reference: send.providerMessageId, at: new Date(send.sentAt) }
  if (send.outcome === 'unauthorised') return { outcome: 'retry', afterMs: null, message: send.message }
  return send
}

/** A look-up as an effect. One that was refused or ended undecided proves nothing, so it can never lead to a second send. */
export function effectOfLookUp(found: LookUpOutcome): EffectOutcome | { outcome: 'absent' } {
  if (found.outcome === 'found') return { outcome: 'done', reference: found.providerMessageId, at: new Date(found.sentAt) }
  if (found.outcome === 'unauthorised') return { outcome: 'retry', afterMs: null, message: found.message }
  if (found.outcome === 'refused' || found.outcome === 'unsure') return { outcome: 'unknown', message: found.message }
  return found
}

export type Failure = 'refused' | 'unreachable' | 'unknown_outcome' | 'overtaken_by_person' | 'no_consent'

/**
 * Why a message will not go out. An effect whose last try was answered with `retry` ends as refused, yet the gateway never judged
 * the message: it was not reached. `unknown` leaves a doubt that a person must settle.
 */
export function failureOf(state: 'refused' | 'unknown', lastSend: SendOutcome['outcome'] | null): Failure {
  if (state === 'unknown') return 'unknown_outcome'
  return lastSend === 'retry' ? 'unreachable' : 'refused'
}
