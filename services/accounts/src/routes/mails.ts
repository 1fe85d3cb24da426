import { EmailAddress, Id, installationId, Timestamp } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { listMails, openMailText } from '../db/mails.ts'

const MailView = z.object({
  mailId: Id,
  kind: z.string(),
  to: z.string(),
  subject: z.string(),
  text: z.string().nullable(),
  state: z.enum(['waiting', 'sent', 'kept', 'refused', 'late']),
  error: z.string().nullable(),
  createdAt: Timestamp,
})

/**
 * The mailbox of everybody, for a machine without mail (ACCOUNTS_DEV_MAIL). Its links sign people in, so it opens only for a key that the
 * operator of this machine set up: an owner may have every permission of their organization, and this is not of one.
 */
export const getDevMail = route({
  method: 'GET',
  path: '/v1/dev/mail',
  summary: 'Mail that was sent, latest first, with its links: on a machine of one’s own only (ACCOUNTS_DEV_MAIL).',
  scope: 'ops:read',
  refuses: { not_found: 'Mail is not shown here.' },
  query: z.strictObject({ to: EmailAddress.optional(), limit: z.coerce.number().int().min(1).max(100).default(20) }),
  reply: z.object({ items: z.array(MailView) }),
  async run({ query, caller, app }) {
    if (!app.config.ACCOUNTS_DEV_MAIL) throw new AppError('not_found', 'Mail is not shown here.')
    if (caller.actor.kind !== 'operator') throw new AppError('forbidden', 'Only a key of the operator opens the mailbox.')
    const mails = await app.database.read(installationId, (tx) => listMails(tx, query))
    return {
      items: mails.map((mail) => ({
        mailId: mail.mailId,
        kind: mail.kind,
        to: mail.recipient,
        subject: mail.subject,
        text: openMailText(app.keys, mail),
        state: mail.state,
        error: mail.error,
        createdAt: mail.createdAt.toISOString(),
      })),
    }
  },
})
