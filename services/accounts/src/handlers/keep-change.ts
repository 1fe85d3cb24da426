import { changeAudited } from '@parley/contracts'
import { on } from '../app.ts'
import { insertChange } from '../db/audit.ts'
import { isExport } from '../rules/export.ts'
import { meter } from '../steps/meter.ts'
import { sealAudit } from '../jobs/seal-audit.ts'

/** Keeps what a service says it changed. The chain is the job's: lanes run side by side, and would wait for each other at its end. */
export const keepChange = on('keep-change', changeAudited, async (context) => {
  const { event, tx, later } = context
  await insertChange(tx, event.organizationId, event.id, event.data)
  if (isExport(event.data)) meter(context, { type: 'export', at: new Date(event.data.at), conversationId: null })
  later(sealAudit, {}, { key: event.organizationId })
})
