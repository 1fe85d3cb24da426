import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findUser, lockUser, updateUser } from '../db/users.ts'
import { personOf } from '../manager.ts'
import { Line, Locale, Phone, Timezone } from '../organization-fields.ts'
import { changedFields } from '../rules/changed.ts'
import { UserView, userView } from '../user-view.ts'

const nobody = () => new AppError('not_found', 'There is no such person.')

export const getMe = route({
  method: 'GET',
  path: '/v1/me',
  summary: 'You: profile, and when you signed in.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.' },
  reply: UserView,
  async run({ caller, read }) {
    const user = await read((tx) => findUser(tx, personOf(caller)))
    if (user === undefined) throw nobody()
    return userView(user)
  },
})

/** What a person says of themselves. The address, the password and the second factor have calls of their own; null takes away. */
const Change = z.strictObject({
  firstName: Line(100).nullable().optional(),
  lastName: Line(100).nullable().optional(),
  displayName: Line(200).nullable().optional(),
  avatarUrl: z
    .url({ protocol: /^https$/ })
    .max(2_048)
    .nullable()
    .optional(),
  phone: Phone.nullable().optional(),
  timezone: Timezone.nullable().optional(),
  locale: Locale.nullable().optional(),
})

export const patchMe = route({
  method: 'PATCH',
  path: '/v1/me',
  summary: 'Change your profile; what is left out stays, null takes away.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.' },
  body: Change,
  reply: UserView,
  async run({ body, caller, commit }) {
    const userId = personOf(caller)
    const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as Partial<
      Record<keyof z.infer<typeof Change>, string | null>
    >
    const user = await commit(async (tx, { audit }) => {
      const locked = await lockUser(tx, userId)
      if (locked === undefined) throw nobody()
      const changed = changedFields(locked, given)
      if (changed === null) return locked
      audit({ resourceType: 'user', resourceId: userId, ...changed })
      return updateUser(tx, userId, given)
    })
    return userView(user)
  },
})
