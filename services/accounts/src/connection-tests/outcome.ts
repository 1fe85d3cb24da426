import type { ConnectionProvider } from '@parley/contracts'
import { AppError, type Credentials } from '@parley/runtime'
import type { ConnectionSettings } from '../db/connection-tables.ts'
import type { ProviderRateLimit } from '../rules/connection-rate-limit.ts'
import type { TestOutcome } from '../rules/connection-state.ts'

/** Credentials as they are about to be saved, or as they are. */
export interface ConnectionUnderTest {
  provider: ConnectionProvider
  accountId: string | null
  settings: ConnectionSettings
  credentials: Credentials
}

/** What the provider said; `untested`: we know no harmless question to ask it. */
export interface ConnectionTest {
  outcome: TestOutcome | 'untested'
  /** For the owner's eyes; holds no credential. */
  detail: string | null
  rateLimit: ProviderRateLimit | null
}

/** The whole of a try: the call that waits for it has eight seconds. */
export const testTimeoutMs = 5_000

/** Throws AppError `unprocessable` for credentials that their provider refuses: they are not saved. */
export function assertNotRefused(provider: ConnectionProvider, test: ConnectionTest | null): void {
  if (test?.outcome !== 'refused') return
  const message = `body.credentials: ${provider} refuses them. ${test.detail ?? ''}`.trim()
  throw new AppError('unprocessable', message, { details: { field: 'body.credentials', outcome: 'refused' } })
}
