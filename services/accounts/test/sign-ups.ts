import { type Answer, startWorld, type World } from '@parley/runtime/testing'
import { randomBytes, randomInt } from 'node:crypto'
import { accounts } from '../src/service.ts'

export const password = 'a gentle harbour at dusk'

/** A world with accounts, whose mail can be read and whose callers come from where they say. */
export function startPeople(
  urls: { postgresUrl: string; natsUrl: string },
  environment: Record<string, string> = {},
): Promise<World> {
  return startWorld({
    services: [accounts],
    ...urls,
    environment: {
      ACCOUNTS_DEV_MAIL: 'true',
      ACCOUNTS_PUBLIC_URL: 'https://console.example',
      // Each call comes from an address of its own unless it says otherwise: the door counts them by address.
      TRUST_PROXY: '127.0.0.1/32',
      ...environment,
    },
  })
}

const anyAddress = () => `198.51.${randomInt(256)}.${randomInt(1, 255)}`

export interface People {
  /** Posts without a credential, from a new address unless `ip` says which. */
  post(path: string, body: unknown, options?: { ip?: string; userAgent?: string }): Promise<Answer>
  /** As somebody who is signed in. */
  as(accessToken: string, method: string, path: string, body?: unknown): Promise<Answer>
  /** The latest mail to an address, waited for; `kind` when there are several. */
  mailTo(email: string, kind?: string): Promise<{ subject: string; text: string; kind: string }>
  mailsTo(email: string): Promise<{ kind: string; text: string }[]>
  /** The token in the latest mail of a kind. */
  tokenTo(email: string, kind: string): Promise<string>
  /** Asks for a link that signs in: the secret of who asked, and what the mail says. */
  askLink(email: string): Promise<{ requestToken: string; token: string; mailCode: string }>
  /** Signs up and follows the link. */
  join(options?: { email?: string; organizationName?: string }): Promise<Joined>
  signIn(email: string, more?: Record<string, unknown>, options?: { ip?: string }): Promise<Answer>
}

export interface Joined {
  email: string
  userId: string
  accessToken: string
  refreshToken: string
  sessionId: string
  deviceToken: string
  organizationId: string | null
}

export const newEmail = () => `someone-${randomBytes(6).toString('hex')}@example.org`

export function openPeople(world: World): People {
  const people: People = {
    post: (path, body, { ip = anyAddress(), userAgent = 'curl/8' } = {}) =>
      world.call('POST', path, { body, key: null, headers: { 'x-forwarded-for': ip, 'user-agent': userAgent } }),
    as: (accessToken, method, path, body) =>
      world.call(method, path, {
        key: accessToken,
        headers: { 'x-forwarded-for': anyAddress() },
        ...(body === undefined ? {} : { body }),
      }),
    async mailsTo(email) {
      await world.settle()
      const { status, body } = await world.call('GET', `/v1/dev/mail?to=${encodeURIComponent(email)}`)
      if (status !== 200) throw new Error(`No mail: ${status} ${JSON.stringify(body)}`)
      return body.items
    },
    async mailTo(email, kind) {
      const mails = await people.mailsTo(email)
      const mail = mails.find((entry) => kind === undefined || entry.kind === kind)
      if (!mail)
        throw new Error(`No mail ${kind ?? ''} to ${email}; there are ${mails.map((entry) => entry.kind).join(', ') || 'none'}.`)
      return mail as { subject: string; text: string; kind: string }
    },
    async tokenTo(email, kind) {
      const { text } = await people.mailTo(email, kind)
      const token = /#token=([A-Za-z0-9_-]{43})/.exec(text)?.[1]
      if (token === undefined) throw new Error(`No token in: ${text}`)
      return token
    },
    async askLink(email) {
      const { status, body } = await people.post('/v1/auth/magic-link', { email })
      if (status !== 202) throw new Error(`No link: ${status} ${JSON.stringify(body)}`)
      const { text } = await people.mailTo(email, 'magic_link')
      const mailCode = /^Code ?: ([0-9a-z]{4}-[0-9a-z]{4})$/m.exec(text)?.[1]
      if (mailCode === undefined) throw new Error(`No code in: ${text}`)
      return { requestToken: body.requestToken, token: await people.tokenTo(email, 'magic_link'), mailCode }
    },
    async join({ email = newEmail(), organizationName } = {}) {
      const asked = await people.post('/v1/auth/sign-up', {
        email,
        password,
        ...(organizationName === undefined ? {} : { organizationName }),
      })
      if (asked.status !== 202) throw new Error(`Sign-up: ${asked.status} ${JSON.stringify(asked.body)}`)
      const { status, body } = await people.post('/v1/auth/verify-email', {
        token: await people.tokenTo(email, 'sign_up'),
        password,
      })
      if (status !== 200) throw new Error(`Verification: ${status} ${JSON.stringify(body)}`)
      return { email, userId: body.user.userId, ...body }
    },
    signIn: (email, more = {}, options = {}) => people.post('/v1/auth/sign-in', { email, password, ...more }, options),
  }
  return people
}
