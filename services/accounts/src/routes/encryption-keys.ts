import { installationId } from '@parley/contracts'
import { AppError, type Caller, type SealingKeys, type Tx } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { changeConnection, lockConnections, opened, sealedColumns } from '../db/connections.ts'
import { countHolders, replaceDataKey } from '../db/encryption-keys.ts'
import { countLateTexts, resealTextsRef, sealedTables } from '../db/sealed-texts.ts'
import { keepSigningKeys } from '../db/signing-keys.ts'
import type { DB } from '../db/types.ts'
import { rewrapKeys } from '../jobs/rewrap-keys.ts'
import { chosenOrganization } from '../manager.ts'

export const rotateEncryptionKey = route({
  method: 'POST',
  path: '/v1/encryption-key/rotate',
  summary: 'Give the organization a new data key, seal its credentials with it, and forget the old one.',
  scope: 'connections:write',
  perMinute: 6,
  refuses: { conflict: 'Choose an organization first.' },
  body: z.strictObject({}),
  reply: z.object({
    /** Null: nothing was ever sealed, so there is no key yet. */
    version: z.int().nullable(),
    resealed: z.int(),
  }),
  async run({ caller, app, commit }) {
    const organizationId = chosenOrganization(caller)
    return commit(async (tx, tools) => {
      const replaced = await replaceDataKey(tx, app.keys, organizationId)
      if (!replaced) return { version: null, resealed: 0 }
      const { wrapped } = replaced.old
      const { dataKey } = replaced.fresh
      const connections = await lockConnections(tx, organizationId)
      for (const connection of connections) {
        const columns = sealedColumns(dataKey, connection.connectionId, opened(app.keys, connection, wrapped))
        await changeConnection(tx, tools, connection, columns)
      }
      const { version } = dataKey
      tools.audit({
        resourceType: 'encryption_key',
        resourceId: organizationId,
        before: { version: version - 1 },
        after: { version },
      })
      return { version, resealed: connections.length }
    })
  },
})

const Progress = z.object({
  /** Organizations that have a data key. */
  total: z.int(),
  /** Those whose key is wrapped with another than the current installation key. */
  remaining: z.int(),
  /** Second factors, preferences, mail and signing keys that another one sealed. Not before both are 0 may the old one leave the settings. */
  remainingTexts: z.int(),
})

export const postRewrap = route({
  method: 'POST',
  path: '/v1/operator/rewrap',
  summary:
    'After a change of PARLEY_SECRET_KEY: wrap and seal with the new one what the old one did. Again changes nothing (operator).',
  scope: 'ops:write',
  perMinute: 6,
  body: z.strictObject({}),
  reply: Progress,
  status: 202,
  async run({ caller, app, from, requestId }) {
    assertOperator(caller)
    const call = { requestId, actor: caller.actor, from, action: 'POST /v1/operator/rewrap' }
    return app.database.commit({ organizationId: installationId, correlationId: requestId, call }, async (tx, tools) => {
      const progress = await progressOf(tx, app.keys)
      if (progress.remaining > 0) tools.later(rewrapKeys, { after: null })
      if (progress.remainingTexts > 0) {
        await keepSigningKeys(tx, tools, app.keys, app.now())
        for (const table of sealedTables) tools.later(resealTextsRef, { table, after: null })
      }
      tools.audit({ resourceType: 'encryption_key', resourceId: installationId, before: null, after: { rewrap: progress } })
      return progress
    })
  },
})

export const getRewrap = route({
  method: 'GET',
  path: '/v1/operator/rewrap',
  summary: 'How much still waits for the new PARLEY_SECRET_KEY (operator).',
  scope: 'ops:read',
  reply: Progress,
  async run({ caller, app }) {
    assertOperator(caller)
    return app.database.read(installationId, (tx) => progressOf(tx, app.keys))
  },
})

async function progressOf(tx: Tx<DB>, keys: SealingKeys): Promise<z.infer<typeof Progress>> {
  return { ...(await countHolders(tx, keys)), remainingTexts: await countLateTexts(tx, keys) }
}

/** Owners of an organization have the permission too, for their own dead letters; the installation is not theirs. */
function assertOperator(caller: Caller): void {
  if (caller.actor.kind !== 'operator') throw new AppError('forbidden', 'Only who runs the installation may do this.')
}
