import { readAudited } from '@parley/contracts'
import { on } from '../app.ts'
import { insertRead } from '../db/audit.ts'

/** Keeps who read personal data. */
export const keepRead = on('keep-read', readAudited, async ({ event, tx }) => {
  await insertRead(tx, event.organizationId, event.id, event.data)
})
