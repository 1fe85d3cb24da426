import { Id } from '@parley/contracts'
import type { JobRef, Tx } from '@parley/runtime'
import type { Selectable } from 'kysely'
import { z } from 'zod'
import type { MailRequests, SignUpDetails } from './people-types.ts'
import type { DB } from './types.ts'

export type MailRequest = Selectable<MailRequests>

/** What the job answer-mail-request is asked with; the job itself needs this file. */
export const answerMailRequestRef = {
  name: 'answer-mail-request',
  schema: z.object({ requestId: Id }),
} satisfies JobRef<{ requestId: string }>

export interface NewMailRequest {
  requestId: string
  kind: MailRequest['kind']
  /** Who asked, when they are signed in. */
  userId?: string
  email: string
  details?: SignUpDetails
  /** Of the secret that who asked must show again. */
  requestHash?: Buffer
  createdAt: Date
}

export async function insertMailRequest(tx: Tx<DB>, { details, ...fresh }: NewMailRequest): Promise<void> {
  await tx
    .insertInto('mailRequests')
    .values({ ...fresh, details: JSON.stringify(details ?? {}) })
    .execute()
}

/** Forgets what somebody asked for and was not mailed yet: no link of it is made any more. */
export async function dropMailRequestsOf(tx: Tx<DB>, userId: string): Promise<void> {
  await tx.deleteFrom('mailRequests').where('userId', '=', userId).execute()
}

/** Takes a request out of the table: it is answered in the same commit. */
export async function takeMailRequest(tx: Tx<DB>, requestId: string): Promise<MailRequest | undefined> {
  return tx.deleteFrom('mailRequests').where('requestId', '=', requestId).returningAll().executeTakeFirst()
}
