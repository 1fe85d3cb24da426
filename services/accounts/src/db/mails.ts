import { Id } from '@parley/contracts'
import { type CommitTools, type JobRef, openText, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import type { Selectable, Updateable } from 'kysely'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Mails } from './people-types.ts'
import { sealedPlace } from './sealed-texts.ts'
import type { DB } from './types.ts'

export type Mail = Selectable<Mails>

/** What the job send-mail is asked with; the job itself is in jobs/send-mail.ts, which needs this file. */
export const sendMailRef = { name: 'send-mail', schema: z.object({ mailId: Id }) } satisfies JobRef<{ mailId: string }>

export interface NewMail {
  /** Seals the text: a copy of the database must not hold links that sign people in. */
  keys: SealingKeys
  to: string
  subject: string
  text: string
  /** `invitation`, `magic_link`: what it is about, for the list of mail. */
  kind: string
  /** Its links are no good after this, so it is not sent after this. */
  sendBefore?: Date
}

/** Puts a mail into the outgoing ones: it leaves if and only if the surrounding commit succeeds. Resolves with its id. */
export async function queueMail(tx: Tx<DB>, tools: CommitTools, mail: NewMail): Promise<string> {
  const mailId = randomUUIDv7()
  await tx
    .insertInto('mails')
    .values({
      mailId,
      kind: mail.kind,
      recipient: mail.to,
      subject: mail.subject,
      sealedText: sealText(mail.keys, sealedPlace('mails', mailId), mail.text),
      sendBefore: mail.sendBefore ?? null,
    })
    .execute()
  tools.later(sendMailRef, { mailId })
  return mailId
}

export async function findMail(tx: Tx<DB>, mailId: string): Promise<Mail | undefined> {
  return tx.selectFrom('mails').selectAll().where('mailId', '=', mailId).executeTakeFirst()
}

/** The text of a mail; null once it is wiped. Throws SealBroken. */
export function openMailText(keys: SealingKeys, mail: Mail): string | null {
  return mail.sealedText === null ? null : openText(keys, sealedPlace('mails', mail.mailId), mail.sealedText)
}

export async function settleMail(tx: Tx<DB>, mailId: string, change: Updateable<Mails>): Promise<void> {
  await tx.updateTable('mails').set(change).where('mailId', '=', mailId).execute()
}

/** Mail as it went out, latest first, of everybody or to one address. */
export async function listMails(tx: Tx<DB>, filter: { to?: string | undefined; limit: number }): Promise<Mail[]> {
  let mails = tx.selectFrom('mails').selectAll()
  if (filter.to !== undefined) mails = mails.where('recipient', '=', filter.to)
  return mails.orderBy('createdAt', 'desc').orderBy('mailId', 'desc').limit(filter.limit).execute()
}

export async function deleteOldMails(tx: Tx<DB>, before: Date, limit: number): Promise<number> {
  const gone = await tx
    .deleteFrom('mails')
    .where('mailId', 'in', (eb) => eb.selectFrom('mails').select('mailId').where('createdAt', '<', before).limit(limit))
    .executeTakeFirstOrThrow()
  return Number(gone.numDeletedRows)
}
