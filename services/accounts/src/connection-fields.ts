import type { ConnectionProvider } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import type { z } from 'zod'
import type { ProviderFields } from './integration.ts'
import { providerFields } from './provider-fields.ts'

export const fieldsOf = (provider: ConnectionProvider): ProviderFields => providerFields[provider] as unknown as ProviderFields

/** Reads what somebody sent with the provider's own schema. Throws AppError `invalid` that names the field. */
export function parseField<T>(where: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues
    .slice(0, 20)
    .map((issue) => ({ field: ['body', where, ...issue.path].join('.'), problem: issue.message }))
  const first = problems[0]
  throw new AppError('invalid', first ? `${first.field}: ${first.problem}` : `body.${where} is wrong.`, { details: problems })
}

/** The account as the provider writes it. Throws AppError `invalid`. */
export function readAccount({ account }: ProviderFields, accountId: string | null): string | null {
  if (accountId === null) {
    if (account?.needed) throw new AppError('invalid', 'body.accountId: this provider needs one.')
    return null
  }
  if (account === null) throw new AppError('invalid', 'body.accountId: this provider has none.')
  return parseField('accountId', account.schema, accountId)
}

const mostSettingsBytes = 8 * 1024
const mostCredentialBytes = 16 * 1024

/** Throws AppError `invalid` when they would not fit into the event that brings them to the services (64 KiB). */
export function assertSize(settings: unknown, credentials: unknown): void {
  const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value))
  if (bytes(settings) > mostSettingsBytes) throw new AppError('invalid', `body.settings: ${mostSettingsBytes} bytes at most.`)
  if (bytes(credentials) > mostCredentialBytes)
    throw new AppError('invalid', `body.credentials: ${mostCredentialBytes} bytes at most.`)
}
