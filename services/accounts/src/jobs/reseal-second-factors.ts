import { describe, SealBroken } from '@parley/runtime'
import { job } from '../app.ts'
import { listLateSecondFactors, openTotp, resealSecondFactorsRef, sealTotp } from '../db/sealed-totp.ts'
import { lockUser, updateUser } from '../db/users.ts'

const atOnce = 100

/**
 * After a change of PARLEY_SECRET_KEY: seals the secrets of second factors with the new key, so that the old one can go. Asked for at every
 * start, because that is when a new key comes; usually there is nothing to do.
 */
export const resealSecondFactors = job(
  resealSecondFactorsRef.name,
  resealSecondFactorsRef.schema,
  { policy: 'standard', expireSeconds: 120 },
  async ({ data: { after }, app, read, commit, log }) => {
    const late = await read((tx) => listLateSecondFactors(tx, app.keys, { after, limit: atOnce }))
    for (const userId of late) {
      try {
        await commit(async (tx) => {
          const user = await lockUser(tx, userId)
          if (user === undefined || user.sealedTotp === null) return
          await updateUser(tx, userId, { sealedTotp: sealTotp(app.keys, userId, openTotp(app.keys, userId, user.sealedTotp)) })
        })
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error
        // Their recovery codes still open; one secret must not keep the others from being sealed.
        log.error({ userId, err: describe(error) }, 'a second factor opens with no key of ours')
      }
    }
    if (late.length > 0) log.info({ resealed: late.length }, 'second factors were sealed with the new key')
    const last = late.at(-1)
    if (late.length === atOnce && last !== undefined) {
      await commit(async (_tx, { later }) => later(resealSecondFactorsRef, { after: last }))
    }
  },
)
