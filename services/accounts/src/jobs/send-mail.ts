import { describe, Permanent, RetryLater } from '@parley/runtime'
import { type App, job } from '../app.ts'
import { findMail, openMailText, sendMailRef, settleMail } from '../db/mails.ts'

/**
 * Sends one mail. SMTP has no key to send once by: when the answer is lost after the text went out, it is sent again under the same
 * Message-ID, because a link twice does no harm and none at all shuts somebody out. Texts of sent mail are wiped: they sign people in.
 */
export const sendMail = job(
  sendMailRef.name,
  sendMailRef.schema,
  { policy: 'standard', retryLimit: 8, retryDelaySeconds: 5, retryDelayMaxSeconds: 300, expireSeconds: 60, concurrency: 4 },
  async ({ data: { mailId }, app, read, commit, log, attempt, attempts }) => {
    const mail = await read((tx) => findMail(tx, mailId))
    if (mail === undefined || mail.state !== 'waiting') return
    const now = app.now()
    const settle = (state: 'sent' | 'kept' | 'refused' | 'late', error: string | null = null) =>
      commit((tx) =>
        settleMail(tx, mailId, { state, error, settledAt: now, ...(keepsText(app, state) ? {} : { sealedText: null }) }),
      )

    if (app.mailer === undefined) {
      // Without a mail server nobody gets it; the log says so, and never what it says.
      log.warn({ mailId, kind: mail.kind }, 'a mail was kept: no mail server is set up (ACCOUNTS_SMTP_URL)')
      return settle('kept')
    }
    if (mail.sendBefore !== null && mail.sendBefore <= now) return settle('late', 'Its links were no good any more.')
    const text = openMailText(app.keys, mail)
    if (text === null) throw new Permanent('The text of a waiting mail is gone.')
    try {
      await app.mailer.send({
        messageId: `<${mailId}@${app.config.ACCOUNTS_MAIL_FROM.split('@').at(-1)?.replace(/>.*$/, '') ?? 'parley'}>`,
        from: app.config.ACCOUNTS_MAIL_FROM,
        to: mail.recipient,
        subject: mail.subject,
        text,
      })
    } catch (error) {
      const final = error instanceof Permanent || (error instanceof RetryLater && attempt >= attempts)
      if (final) await settle('refused', describe(error).message)
      throw error
    }
    await settle('sent')
  },
)

/** Mail that stays readable is for a machine whose owner reads it with `parley mail`. */
const keepsText = (app: App, state: string) => app.config.ACCOUNTS_DEV_MAIL && state !== 'refused'
