import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Session } from './db.ts'
import { AppError, describe, errorStatus } from './errors.ts'
import { deriveKey, type KeyedCall } from './idempotency-key.ts'
import { type Claim, freeRow, type IdempotencyRow, lateSeconds, markRow, saveAnswer, takeRow } from './idempotency-rows.ts'
import type { Logger } from './log.ts'
import { openText, sealText } from './sealed.ts'

/** What a call was answered; `text` is its body as JSON, undefined for none. */
interface OnceAnswer {
  status: number
  text: string | undefined
}

/** Calls with an Idempotency-Key are carried out once (attack A65). */
export interface Idempotency {
  /** Runs `work` unless the same call has been answered, or is being carried out: then waits for that one. */
  once(requestId: string, call: KeyedCall, work: () => Promise<OnceAnswer>): Promise<OnceAnswer & { replayed: boolean }>
  /** To be called first in each commit: that the call is carried out is written by the transaction that does it. */
  mark(session: Session<never>, organizationId: string, requestId: string | undefined): void
}

const waitMs = 5_000
const firstPauseMs = 20
const longestPauseMs = 250

export function createIdempotency({ database, log }: { database: Database<never>; log: Logger }): Idempotency {
  /** Calls of this process under way, by request id: their commits mark them. */
  const underWay = new Map<string, Claim>()

  /** Resolves with null when the call is ours to carry out. */
  async function takeOrWait(claim: Claim): Promise<OnceAnswer | null> {
    const deadline = performance.now() + waitMs
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const found = await takeRow(database, claim)
      if (found === 'ours') return null
      const answer = found && answerIn(found, claim)
      if (answer) return answer
      if (performance.now() > deadline) {
        throw new AppError('conflict', 'The same call is still being carried out: ask again with the same Idempotency-Key.', {
          details: { reason: 'in_progress', retryAfterMs: 2_000 },
        })
      }
      await sleep(pauseMs * (0.5 + Math.random()))
    }
  }

  async function keep(claim: Claim, { status, text }: OnceAnswer): Promise<void> {
    const sealed = sealText(sealing(claim), sealedPlace(claim), JSON.stringify(text ?? null))
    try {
      await saveAnswer(database, claim, status, sealed)
    } catch (error) {
      // It is done, and this caller is told so; whoever asks again learns that the answer is lost.
      log.warn({ err: describe(error) }, 'the answer to a call with an Idempotency-Key could not be kept')
    }
  }

  /** What was refused may be tried again. What failed otherwise may be carried out all the same: its commit's answer was lost. */
  async function free(claim: Claim, thrown: unknown): Promise<void> {
    try {
      await freeRow(database, claim, thrown instanceof AppError && errorStatus[thrown.code] < 500)
    } catch (error) {
      log.warn({ err: describe(error) }, `a failed call's Idempotency-Key could not be freed; it is free after ${lateSeconds} s`)
    }
  }

  return {
    async once(requestId, call, work) {
      const claim = { ...deriveKey(call), organizationId: call.organizationId, id: randomUUID() }
      const earlier = await takeOrWait(claim)
      if (earlier) return { ...earlier, replayed: true }
      underWay.set(requestId, claim)
      try {
        const answer = await work()
        await keep(claim, answer)
        return { ...answer, replayed: false }
      } catch (error) {
        await free(claim, error)
        throw error
      } finally {
        underWay.delete(requestId)
      }
    },
    mark(session, organizationId, requestId) {
      const claim = requestId === undefined ? undefined : underWay.get(requestId)
      if (claim) markRow(session, claim, organizationId)
    },
  }
}

/** What to say when the row is somebody's; undefined: wait. */
function answerIn(row: IdempotencyRow, claim: Claim): OnceAnswer | undefined {
  if (row.request_mac !== claim.requestMac) {
    throw new AppError('unprocessable', 'This Idempotency-Key was used for another request: a new one needs a new key.', {
      details: [{ field: 'headers.idempotency-key', problem: 'was used with another body or query' }],
    })
  }
  if (row.state === 'answered' && row.status !== null && row.sealed_answer !== null) {
    const text = JSON.parse(openText(sealing(claim), sealedPlace(claim), row.sealed_answer)) as string | null
    return { status: row.status, text: text ?? undefined }
  }
  if (row.state === 'started' || !row.late) return undefined
  throw new AppError(
    'conflict',
    'This call was carried out, and its answer was lost: look at what it made. It is not done again.',
    {
      details: { reason: 'answer_lost' },
    },
  )
}

const sealing = (claim: Claim) => ({ current: claim.sealingKey, previous: undefined })
const sealedPlace = ({ organizationId, keyHash }: Claim) => ({
  organizationId,
  table: 'idempotency_keys',
  column: 'sealed_answer',
  row: keyHash,
})
