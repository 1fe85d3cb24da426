import { randomUUIDv7 } from 'node:crypto'
import { commitForAll, type RouteCall } from './as-installation.ts'
import { addressSubject, countTry, mailSubject, takeTry } from './attempts.ts'
import { answerMailRequestRef, insertMailRequest, type MailRequest } from './db/mail-requests.ts'
import type { SignUpDetails } from './db/people-types.ts'

export interface Asked {
  kind: MailRequest['kind']
  email: string
  userId?: string
  details?: SignUpDetails
  requestHash?: Buffer
  action: string
}

/**
 * Notes that somebody wants mail; a job finds out whether there is anybody to send it to. When too much was asked for this address, nothing
 * is sent and the answer is the same: the waits must not tell who is here, nor fill a stranger's mailbox.
 */
export async function askForMail(call: RouteCall, asked: Asked): Promise<void> {
  const { kind, email, userId, details, requestHash, action } = asked
  const { app, from } = call
  await countTry(app, [addressSubject(app, from.ip)])
  if ((await takeTry(app, [mailSubject(app, kind, email)])) !== undefined) return
  await commitForAll(call, { action }, async (tx, { later }) => {
    const requestId = randomUUIDv7()
    await insertMailRequest(tx, {
      requestId,
      kind,
      email,
      ...(userId === undefined ? {} : { userId }),
      ...(details === undefined ? {} : { details }),
      ...(requestHash === undefined ? {} : { requestHash }),
      createdAt: app.now(),
    })
    later(answerMailRequestRef, { requestId })
  })
}
