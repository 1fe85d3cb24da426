import { refuseAddress } from '@parley/providers/http'
import { AppError } from '@parley/runtime'
import type { ConnectionProvider } from '@parley/contracts'
import { z } from 'zod'
import { refuseMailServer } from './connection-tests/ask-mail-server.ts'
import { defaultAddress } from './provider-fields.ts'
import type { ConnectionSettings } from './db/connection-tables.ts'

/** Origins that connections may name although they are not public: `http://127.0.0.1:4010`, `smtp://mail.internal:587`. */
export const originList = z
  .string()
  .default('')
  .transform((list, context) => {
    const origins: string[] = []
    for (const entry of list.split(',').map((part) => part.trim())) {
      if (entry === '') continue
      const url = URL.parse(entry)
      if (url && /^https?:$/.test(url.protocol) && url.pathname === '/') origins.push(url.origin)
      else if (url?.protocol === 'smtp:' && /^\/?$/.test(url.pathname) && url.port !== '') origins.push(`smtp://${url.host}`)
      else context.addIssue(`'${entry}' is not an origin`)
    }
    return origins
  })

/** Throws AppError `invalid` when the settings name an address that we would have to be inside the network to call. */
export function assertAddress(provider: ConnectionProvider, settings: ConnectionSettings, trusted: readonly string[]): void {
  if (provider === 'smtp') return assertNone('host', refuseMailServer(settings, trusted))
  const { baseUrl } = settings
  if (provider === 'custom' || typeof baseUrl !== 'string') return
  assertNone('baseUrl', refuseAddress(baseUrl, trusted))
  // Its gateway is the vendor's: nobody else has a reason to run one.
  const isGateway = [defaultAddress.whapi, ...trusted].includes(new URL(baseUrl).origin)
  if (provider === 'whapi' && !isGateway) assertNone('baseUrl', 'is not one of the gateways that the operator allows')
}

function assertNone(field: string, problem: string | undefined): void {
  if (problem !== undefined) throw new AppError('invalid', `body.settings.${field} ${problem}.`)
}
