import { describe, SealBroken } from '@parley/runtime'
import { job } from '../app.ts'
import { listLateTexts, resealText, resealTextsRef } from '../db/sealed-texts.ts'

const atOnce = 100

/**
 * After a change of PARLEY_SECRET_KEY: seals second factors, preferences and mail with the new key, so that the old one can go. Asked for
 * at every start, because that is when a new key comes, and by whoever asks for data keys to be wrapped; usually there is nothing to do.
 */
export const resealTexts = job(
  resealTextsRef.name,
  resealTextsRef.schema,
  { policy: 'standard', expireSeconds: 120 },
  async ({ data: { table, after }, app, read, commit, log, signal }) => {
    const late = await read((tx) => listLateTexts(tx, app.keys, { table, after, limit: atOnce }))
    for (const row of late) {
      signal.throwIfAborted()
      try {
        await commit((tx) => resealText(tx, app.keys, table, row))
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error
        // One person's text must not keep the others' from being sealed. Of a second factor, the recovery codes still open.
        log.error({ table, row, err: describe(error) }, 'a sealed text opens with no key of ours')
      }
    }
    if (late.length > 0) log.info({ table, tried: late.length }, 'texts were sealed with the new key')
    const last = late.at(-1)
    if (late.length === atOnce && last !== undefined) {
      await commit(async (_tx, { later }) => later(resealTextsRef, { table, after: last }))
    }
  },
)
