import type { Service } from '@parley/runtime'
import type { App } from './app.ts'
import { auditExport } from './routes/audit-export.ts'
import { paymentDoor } from './routes/payment-webhooks.ts'
import { jwksDoor } from './routes/signing-keys.ts'

type Plugin = NonNullable<Service<App>['plugin']>

/** What answers raw requests. Each has a scope of its own: how one reads bodies is not the others' business. */
export const doors = async (
  scope: Parameters<Plugin>[0],
  app: App,
  context: Parameters<typeof auditExport>[2],
): Promise<void> => {
  await scope.register(async (inner) => await auditExport(inner, app, context))
  await scope.register(async (inner) => await paymentDoor(inner, app))
  await scope.register(async (inner) => jwksDoor(inner, app))
}
