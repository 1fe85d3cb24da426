import { describe, SealBroken } from '@parley/runtime'
import { job } from '../app.ts'
import { listLatePreferences, resealPreferences as resealOne, resealPreferencesRef } from '../db/preferences.ts'

const atOnce = 100

/** After a change of PARLEY_SECRET_KEY: seals people's preferences with the new key, so that the old one can go. Asked for at every start. */
export const resealPreferences = job(
  resealPreferencesRef.name,
  resealPreferencesRef.schema,
  { policy: 'standard', expireSeconds: 120 },
  async ({ data: { after }, app, read, commit, log }) => {
    const late = await read((tx) => listLatePreferences(tx, app.keys, { after, limit: atOnce }))
    for (const userId of late) {
      try {
        await commit((tx) => resealOne(tx, app.keys, userId))
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error
        // What one person chose about colours must not keep the others' from being sealed.
        log.error({ userId, err: describe(error) }, 'preferences open with no key of ours')
      }
    }
    if (late.length > 0) log.info({ resealed: late.length }, 'preferences were sealed with the new key')
    const last = late.at(-1)
    if (late.length === atOnce && last !== undefined) {
      await commit(async (_tx, { later }) => later(resealPreferencesRef, { after: last }))
    }
  },
)
