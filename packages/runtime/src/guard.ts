import { describe } from './errors.ts'

/**
 * The end of a statement that fails unless `condition` (SQL) holds, by dividing by zero: it may be sent with its transaction's commit,
 * which then fails too, and nobody has to wait for its answer.
 */
export const failUnless = (condition: string) => `select 1 / (case when ${condition} then 1 else 0 end)`

/** Such a statement's condition did not hold. */
export const isFailedGuard = (error: unknown) => describe(error).code === '22012'
