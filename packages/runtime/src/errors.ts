/** What went wrong, in a word that a program can act on, with its HTTP status. */
export const errorStatus = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  timeout: 408,
  conflict: 409,
  gone: 410,
  too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  too_many_requests: 429,
  internal: 500,
  unavailable: 503,
} as const
export type ErrorCode = keyof typeof errorStatus

/** An answer to the caller: `message` is for their eyes, `cause` is not. */
export class AppError extends Error {
  override name = 'AppError'
  readonly code: ErrorCode
  readonly details: unknown

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
  }
}

/** Thrown by a job or handler to be tried again later for a reason that is nobody's bug. */
export class RetryLater extends Error {
  override name = 'RetryLater'
  /** Not before this many milliseconds; undefined: the usual back-off. */
  readonly afterMs: number | undefined

  constructor(message: string, options: { afterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.afterMs = options.afterMs
  }
}

/** Thrown by a job or handler when no try will ever succeed: straight to the dead letters. */
export class Permanent extends Error {
  override name = 'Permanent'
}

/** A job's run lost its lease: somebody else runs it now, or it is done. Its commit wrote nothing. */
export class LeaseLost extends Error {
  override name = 'LeaseLost'
}

/** The broker was away, or gave no answer: what was asked of it may or may not have happened. */
export class BrokerAway extends Error {
  override name = 'BrokerAway'
}

/**
 * reliability.md D15. `outage`: our own infrastructure is away, nothing is wrong with the work itself. `contention`: neither with the
 * infrastructure; a lock or a rival stood in the way of this one piece of work, and others may go on.
 */
export type ErrorClass = 'outage' | 'contention' | 'retry' | 'permanent' | 'bug'

/** Nothing that the work did: it counts as no try of it, and is tried again when the trouble has ended. */
export const isOurTrouble = (errorClass: ErrorClass) => errorClass === 'outage' || errorClass === 'contention'

const outageCodes = new Set([
  '53300',
  '57P01',
  '57P02',
  '57P03',
  '58000',
  '58030',
  '53100',
  '53200',
  '25006',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
])
/** A rival, a circle of locks, a lock that was held too long, a statement that waited too long. */
const contentionCodes = new Set(['40001', '40P01', '55P03', '57014'])
const retryCodes = new Set(['25P03'])
const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

/**
 * Sorts an error by what to do about it. Postgres losing a backend gives an error without a code ("Connection terminated
 * unexpectedly"), a full pool and a server that no longer answers only a message (reliability.md §3), so those are known by their
 * words.
 */
export function classify(error: unknown): ErrorClass {
  if (error instanceof Permanent) return 'permanent'
  if (error instanceof RetryLater) return 'retry'
  if (error instanceof BrokerAway || (error instanceof AppError && error.code === 'unavailable')) return 'outage'
  const { name, code, message } = describe(error)
  if (name === 'ContractError' || name === 'ZodError') return 'permanent'
  if (code !== undefined) {
    if (outageCodes.has(code) || socketCodes.has(code)) return 'outage'
    if (contentionCodes.has(code) || isStalePlan(error)) return 'contention'
    if (retryCodes.has(code)) return 'retry'
    // Classes 22 and 54: the data itself cannot be stored, or not in an index; class 23 is our own logic gone wrong.
    if (/^(22|54)...$/.test(code)) return 'permanent'
  }
  if (
    /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Connection ended|Client has encountered a connection error|server closed the connection/i.test(
      message,
    )
  ) {
    return 'outage'
  }
  return 'bug'
}

/** A migration changed what a statement prepared before it answers: it is refused on this connection for ever, and fine on another. */
export function isStalePlan(error: unknown): boolean {
  const { code, message } = describe(error)
  return code === '0A000' && message.includes('cached plan')
}

/** Name, code and message of anything thrown. */
export function describe(error: unknown): { name: string; code: string | undefined; message: string } {
  if (error instanceof Error) {
    const code = (error as { code?: unknown }).code
    return { name: error.name, code: typeof code === 'string' ? code : undefined, message: error.message }
  }
  return { name: 'Thrown', code: undefined, message: String(error) }
}
