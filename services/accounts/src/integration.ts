import type { Credentials } from '@parley/runtime'
import { z } from 'zod'
import type { ConnectionSettings } from './db/connection-tables.ts'

export const IntegrationType = z.enum([
  'messaging',
  'ecommerce',
  'crm',
  'analytics',
  'payment',
  'shipping',
  'voice',
  'ai',
  'email',
  'alerts',
  'other',
])
export type IntegrationType = z.infer<typeof IntegrationType>

/** What a connection of one provider is made of, and what it can do. */
export interface ProviderFields {
  type: IntegrationType
  capabilities: readonly string[]
  /** Secret: sealed, never shown. */
  credentials: z.ZodType<Credentials, Record<string, string>>
  /** Not secret. */
  settings: z.ZodType<ConnectionSettings>
  /** The account at the provider; null: there is none. Optional: deliveries and calls are not bound to one without it. */
  account: { schema: z.ZodType<string>; needed: boolean } | null
  /** How the provider's webhooks prove where they come from; null: it sends none. */
  webhook: 'header' | 'signature' | 'address' | null
  version(settings: ConnectionSettings): string | null
  /** Where the credentials are sent: whoever names another place must give them anew. */
  destination(settings: ConnectionSettings, accountId: string | null): string
}
