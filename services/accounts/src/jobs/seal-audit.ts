import { z } from 'zod'
import { job } from '../app.ts'
import { sha256 } from '../audit-digest.ts'
import { appendLinks, listUnsealed, lockHead } from '../db/audit.ts'
import { sealEntries } from '../rules/audit-chain.ts'

/** Links per commit: the head is held for some milliseconds, and what was sealed stays sealed when the run ends early. */
const chunk = 200

/**
 * Appends what waits to the organization's chain. One runs per organization and one waits; should two ever meet (a lease that was lost),
 * the second waits for the head and goes on after the first. The head is also logged: whoever can rewrite the database cannot rewrite
 * the logs that have left it.
 */
export const sealAudit = job(
  'seal-audit',
  z.strictObject({}),
  { policy: 'stately', retryLimit: 50, concurrency: 2 },
  async ({ organizationId, app, commit, signal, log }) => {
    for (let sealed = chunk; sealed === chunk; ) {
      signal.throwIfAborted()
      const links = await commit(async (tx) => {
        const now = app.now()
        const head = await lockHead(tx, organizationId, now)
        const entries = await listUnsealed(tx, organizationId, chunk)
        const added = sealEntries(sha256, organizationId, head, entries, now.toISOString())
        await appendLinks(tx, organizationId, added)
        return added
      })
      sealed = links.length
      const last = links.at(-1)
      if (last) log.info({ organizationId, sequence: last.sequence, hash: last.hash }, 'the audit log was sealed')
    }
  },
)
