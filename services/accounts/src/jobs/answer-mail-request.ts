import { installationId } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { type App, job } from '../app.ts'
import { answerMailRequestRef, type MailRequest, takeMailRequest } from '../db/mail-requests.ts'
import type { DB } from '../db/types.ts'
import { findUser, findUserByEmail, type User } from '../db/users.ts'
import { sendLink } from '../links.ts'
import { queueMail } from '../db/mails.ts'
import { alreadyHereMail, languageOf } from '../rules/mail-texts.ts'

/**
 * Looks whether there is such a person, and mails what fits. It is a job so that the call which asked for it does the same work and
 * takes the same time for everybody: nobody learns who has an account.
 */
export const answerMailRequest = job(
  answerMailRequestRef.name,
  answerMailRequestRef.schema,
  { policy: 'standard', expireSeconds: 30 },
  async ({ data: { requestId }, organizationId, app, commit, log }) => {
    if (organizationId !== installationId) throw new Error('Mail requests belong to the installation.')
    await commit(async (tx, tools) => {
      const request = await takeMailRequest(tx, requestId)
      if (request === undefined) return
      const user = await findUserByEmail(tx, request.email)
      if (request.kind === 'sign_up') return answerSignUp(app, tx, tools, request, user)
      if (request.kind === 'email_change') return answerEmailChange(app, tx, tools, request, user)
      if (user === undefined || user.status !== 'active') {
        // Nothing is mailed: a stranger's address is no place for our words.
        log.info({ kind: request.kind }, 'a link was asked for an address that nobody has')
        return
      }
      const { kind: purpose, requestHash } = request
      const bound = requestHash === null ? {} : { requestHash }
      await sendLink(app, tx, tools, { purpose, userId: user.userId, to: user.email, locale: user.locale, ...bound })
    })
  },
)

async function answerSignUp(app: App, tx: Tx<DB>, tools: CommitTools, request: MailRequest, user: User | undefined) {
  const { email, details } = request
  if (user !== undefined) {
    const { subject, text } = alreadyHereMail(
      languageOf(user.locale ?? details.locale),
      `${app.config.ACCOUNTS_PUBLIC_URL}/sign-in`,
    )
    await queueMail(tx, tools, { keys: app.keys, to: user.email, kind: 'already_here', subject, text })
    return
  }
  await sendLink(app, tx, tools, { purpose: 'sign_up', userId: null, to: email, locale: details.locale ?? null, details })
}

/** The new address is asked, not the old one: whoever reads its mail may have it. Nothing is said of an address that is taken. */
async function answerEmailChange(app: App, tx: Tx<DB>, tools: CommitTools, request: MailRequest, taken: User | undefined) {
  const { userId, email } = request
  const user = userId === null ? undefined : await findUser(tx, userId)
  if (user === undefined || taken !== undefined) return
  await sendLink(app, tx, tools, { purpose: 'email_change', userId: user.userId, to: email, locale: user.locale })
}
