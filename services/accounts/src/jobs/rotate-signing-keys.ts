import { job } from '../app.ts'
import { keepSigningKeys, rotateSigningKeysRef } from '../db/signing-keys.ts'

const everyMs = 6 * 3_600_000

/** Looks four times a day whether a signing key is due to be made or to end, and asks for its own next run. */
export const rotateSigningKeys = job(
  rotateSigningKeysRef.name,
  rotateSigningKeysRef.schema,
  { policy: 'stately' },
  async ({ app, commit }) => {
    const now = app.now()
    await commit(async (tx, tools) => {
      await keepSigningKeys(tx, tools, app.keys, now)
      tools.later(rotateSigningKeysRef, {}, { key: 'installation', startAfter: new Date(now.getTime() + everyMs) })
    })
  },
)
