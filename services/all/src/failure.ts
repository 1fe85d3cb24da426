/** Something the user can mend: one clear paragraph with the remedy in it, shown without a stack trace; exit code 1. */
export class Failure extends Error {
  override name = 'Failure'
}

/** What went wrong and what to do about it, with the private cause for the log. */
export function failure(message: string, cause?: unknown): Failure {
  return new Failure(message, cause === undefined ? undefined : { cause })
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
