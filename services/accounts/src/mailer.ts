import { Permanent, RetryLater } from '@parley/runtime'
import { createTransport } from 'nodemailer'

interface OutgoingMail {
  /** Kept over retries, so that a mail that came twice is shown once. */
  messageId: string
  from: string
  to: string
  subject: string
  text: string
}

export interface Mailer {
  /** Resolves when the server has taken it. Throws RetryLater or Permanent. */
  send(mail: OutgoingMail): Promise<void>
  close(): void
}

/** Mail by SMTP (`smtps://user:password@host:465`, or `smtp://…:587` with STARTTLS); every wait has an end. */
export function openMailer(url: string): Mailer {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 2,
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    dnsTimeout: 5_000,
    socketTimeout: 10_000,
    // Text is text: nothing in it makes us read a file or fetch an address.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    async send(mail) {
      try {
        await transport.sendMail(mail)
      } catch (error) {
        throw sorted(error)
      }
    },
    close: () => transport.close(),
  }
}

/**
 * What a failed delivery means (RFC 5321, 4.2.1): 5yz to the recipient or the text is final, 4yz is for later. A refused password is
 * ours to put right, and the mail waits for that. The server's words name the recipient, so only the code goes on.
 */
function sorted(error: unknown): Error {
  const { code, responseCode, command } = error as { code?: unknown; responseCode?: unknown; command?: unknown }
  const what = `${typeof code === 'string' ? code : 'failed'}${typeof responseCode === 'number' ? ` ${responseCode}` : ''}`
  if (typeof responseCode === 'number' && responseCode >= 500 && code !== 'EAUTH' && command !== 'CONN')
    return new Permanent(`The mail server refuses this mail for good (${what}).`)
  return new RetryLater(`The mail server did not take the mail (${what}).`, { cause: error })
}
