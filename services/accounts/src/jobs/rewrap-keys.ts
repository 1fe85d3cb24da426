import { classify, describe, isOurTrouble, SealBroken } from '@parley/runtime'
import { z } from 'zod'
import { type App, job } from '../app.ts'
import { changeConnection, lockConnections } from '../db/connections.ts'
import { listLateHolders, rewrapDataKey } from '../db/encryption-keys.ts'

const atOnce = 20

/**
 * Wraps the data keys of all organizations with the installation's current key, an organization to a commit. What is left to do stands
 * in the table, so a run that was cut off goes on where it ended, and one too many finds nothing. A key that does not open is passed
 * over, loudly: it must not keep the others from being wrapped.
 */
export const rewrapKeys = job(
  'rewrap-keys',
  z.object({ after: z.uuid().nullable() }),
  { policy: 'standard', expireSeconds: 300 },
  async ({ data: { after }, app, read, commit, log, signal }) => {
    const holders = await read((tx) => listLateHolders(tx, app.keys, { after, limit: atOnce }))
    for (const holder of holders) {
      signal.throwIfAborted()
      try {
        await rewrapOrganization(app, holder)
      } catch (error) {
        if (signal.aborted || isOurTrouble(classify(error))) throw error
        const why = error instanceof SealBroken ? 'opens with no key of ours' : 'could not be wrapped anew'
        log.error({ organizationId: holder, err: describe(error) }, `the data key of an organization ${why}`)
      }
    }
    const last = holders.at(-1)
    if (holders.length === atOnce && last !== undefined) {
      await commit(async (_tx, { later }) => later(rewrapKeys, { after: last }))
    }
  },
)

/** The connections are told again with it: what other services keep is wrapped with the old key, and must be replaced there too. */
async function rewrapOrganization(app: App, organizationId: string): Promise<void> {
  await app.database.commit({ organizationId }, async (tx, tools) => {
    if (!(await rewrapDataKey(tx, app.keys, organizationId))) return
    for (const connection of await lockConnections(tx, organizationId)) await changeConnection(tx, tools, connection, {})
  })
}
