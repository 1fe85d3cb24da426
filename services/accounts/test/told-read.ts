import { readAudited } from '@parley/contracts'
import type { World } from '@parley/runtime/testing'

/** Tells accounts that a key has read three customers, as the runtime does after such a call. */
export async function tellOfRead(world: World, requestId: string): Promise<void> {
  await world.state('accounts', readAudited, {
    requestId,
    actor: { kind: 'key', id: 'k' },
    ip: null,
    userAgent: null,
    at: new Date().toISOString(),
    action: 'GET /v1/customers',
    resourceType: 'customer',
    resourceId: null,
    count: 3,
  })
  await world.settle()
}
