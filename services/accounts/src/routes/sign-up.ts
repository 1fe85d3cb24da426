import { EmailAddress } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { PasswordInput, requireGoodPassword } from '../credentials.ts'
import { askForMail } from '../mail-request.ts'
import { normalPassword } from '../rules/password.ts'
import { Line, Locale, Timezone } from '../organization-fields.ts'

export const signUp = route({
  method: 'POST',
  path: '/v1/auth/sign-up',
  summary:
    'Ask for an account, with an organization of your own if you name one; a link comes by mail. The answer is always the same.',
  scope: 'public',
  perMinute: 20,
  body: z.strictObject({
    email: EmailAddress,
    password: PasswordInput,
    name: Line(200).optional(),
    organizationName: Line(200).optional(),
    locale: Locale.optional(),
    timezone: Timezone.optional(),
  }),
  reply: z.object({ message: z.string() }),
  status: 202,
  async run({ body, ...call }) {
    const { email, password, name, organizationName, locale, timezone } = body
    const { app } = call
    await requireGoodPassword(
      app,
      password,
      { email, names: [name ?? null], organizations: [organizationName ?? ''] },
      'body.password',
    )
    // Hashed whether the address is known or not: that is where the time goes.
    const passwordHash = await app.passwords.hash(normalPassword(password))
    const details = {
      passwordHash,
      ...(name === undefined ? {} : { name }),
      ...(organizationName === undefined ? {} : { organizationName }),
      ...(locale === undefined ? {} : { locale }),
      ...(timezone === undefined ? {} : { timezone }),
    }
    await askForMail(call, { kind: 'sign_up', email, details, action: 'POST /v1/auth/sign-up' })
    return { message: 'Look into your mail: the link there opens your account.' }
  },
})
