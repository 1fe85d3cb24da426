import { job } from '../app.ts'
import { keepMonthsOfReads } from '../db/months-of-reads.ts'
import { deleteOldMails } from '../db/mails.ts'
import { deleteOldTokens } from '../db/one-time-tokens.ts'
import { deleteOldSessions } from '../db/sessions.ts'
import { deleteOldAttempts } from '../db/sign-in-attempts.ts'
import { forgetOldSignInsRef } from '../db/upkeep.ts'

const day = 86_400_000
const everyMs = day
const chunk = 1_000

/** What is kept of signing in, for no longer than it is good for: the audit log has the rest. Once a day, in short transactions, with what else has its time. */
const kept = [
  { what: 'sessions', days: 30, remove: deleteOldSessions },
  { what: 'tokens', days: 1, remove: deleteOldTokens },
  { what: 'tries', days: 2, remove: deleteOldAttempts },
  { what: 'mails', days: 7, remove: deleteOldMails },
] as const

export const forgetOldSignIns = job(
  forgetOldSignInsRef.name,
  forgetOldSignInsRef.schema,
  { policy: 'stately', expireSeconds: 300 },
  async ({ app, commit, signal, log }) => {
    const now = app.now()
    for (const { days, remove } of kept) {
      const before = new Date(now.getTime() - days * day)
      for (let gone = chunk; gone === chunk && !signal.aborted; ) gone = await commit((tx) => remove(tx, before, chunk))
    }
    const months = await commit((tx) => keepMonthsOfReads(tx, app.config.ACCOUNTS_READS_DAYS))
    if (months > 0) log.info({ months }, 'records of reads were dropped because of their age')
    await commit(async (_tx, { later }) =>
      later(forgetOldSignInsRef, {}, { key: 'installation', startAfter: new Date(now.getTime() + everyMs) }),
    )
  },
)
