import { Id, Timestamp } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findMember, saveOwnMembership } from '../db/members.ts'
import { findPreferences, savePreferences, type StoredPreferences } from '../db/preferences.ts'
import { chosenOrganization, personOf } from '../manager.ts'
import { Line, Locale } from '../organization-fields.ts'
import { changedFields } from '../rules/changed.ts'
import { changeNotifications, differing, type Notifications, notificationsOf } from '../rules/notifications.ts'
import { chatModes, themes } from '../rules/preferences.ts'

const PreferenceFields = z.strictObject({
  language: Locale,
  autoEscalate: z.boolean(),
  videoEnabled: z.boolean(),
  voiceEnabled: z.boolean(),
  autoTranscript: z.boolean(),
  tavusReplicaId: Line(128).nullable(),
  elevenlabsVoiceId: Line(128).nullable(),
  preferredChatMode: z.enum(chatModes),
  callHistoryEnabled: z.boolean(),
  notificationsEnabled: z.boolean(),
  theme: z.enum(themes),
})
const PreferencesView = z.object({
  userId: Id,
  preferences: z.object({ ...PreferenceFields.shape, language: z.string() }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
})

export const getPreferences = route({
  method: 'GET',
  path: '/v1/me/preferences',
  also: ['GET /functions/v1/get-user-preferences'],
  summary: 'Your preferences; the defaults are stored at the first read.',
  scope: 'self',
  refuses: { not_found: 'There are no preferences of that person for you.' },
  query: z.strictObject({
    user_id: Id.optional().describe('Only your own: another person’s preferences are nobody’s business.'),
  }),
  reply: PreferencesView,
  async run({ query, caller, app, read, commit }) {
    const userId = personOf(caller)
    if (query.user_id !== undefined && query.user_id.toLowerCase() !== userId)
      throw new AppError('not_found', 'There are no preferences of that person for you.')
    const known = await read((tx) => findPreferences(tx, app.keys, userId))
    return view(userId, known ?? (await commit((tx) => savePreferences(tx, app.keys, userId, {}))).stored)
  },
})

export const patchPreferences = route({
  method: 'PATCH',
  path: '/v1/me/preferences',
  summary: 'Change some of your preferences.',
  scope: 'self',
  body: PreferenceFields.partial(),
  reply: PreferencesView,
  async run({ body, caller, app, commit }) {
    const userId = personOf(caller)
    const stored = await commit(async (tx, { audit }) => {
      const { before, stored: after } = await savePreferences(tx, app.keys, userId, body)
      const changed = changedFields({ ...before }, { ...after.preferences })
      if (changed) audit({ resourceType: 'preferences', resourceId: userId, ...changed })
      return after
    })
    return view(userId, stored)
  },
})

const Ways = z.strictObject({ email: z.boolean(), sms: z.boolean(), inApp: z.boolean() })
const someWays = Ways.partial().optional()
const NotificationsView = z.object({
  handovers: Ways,
  newConversations: Ways,
  usageWarnings: Ways,
  connectionErrors: Ways,
  weeklySummary: Ways,
})

export const getNotificationPreferences = route({
  method: 'GET',
  path: '/v1/me/notification-preferences',
  summary: 'What you hear of in the organization you act in, and how.',
  scope: 'self',
  refuses: { conflict: 'Choose an organization first.' },
  reply: NotificationsView,
  async run({ caller, read }): Promise<Notifications> {
    const userId = personOf(caller)
    const member = await read((tx) => findMember(tx, chosenOrganization(caller), userId))
    if (member?.status !== 'active') throw noMember()
    return notificationsOf(member.notificationPreferences)
  },
})

export const patchNotificationPreferences = route({
  method: 'PATCH',
  path: '/v1/me/notification-preferences',
  summary: 'Change what you hear of, and how; what is left out stays.',
  scope: 'self',
  refuses: { conflict: 'Choose an organization first.' },
  body: z.strictObject({
    handovers: someWays,
    newConversations: someWays,
    usageWarnings: someWays,
    connectionErrors: someWays,
    weeklySummary: someWays,
  }),
  reply: NotificationsView,
  async run({ body, caller, commit }): Promise<Notifications> {
    const userId = personOf(caller)
    const organizationId = chosenOrganization(caller)
    return commit(async (tx, { audit }) => {
      const member = await findMember(tx, organizationId, userId)
      if (member?.status !== 'active') throw noMember()
      const before = notificationsOf(member.notificationPreferences)
      const after = changeNotifications(before, body)
      const changed = changedFields({ ...before }, { ...after })
      if (!changed) return before
      audit({ resourceType: 'notification_preferences', resourceId: userId, ...changed })
      await saveOwnMembership(tx, organizationId, userId, { notificationPreferences: JSON.stringify(differing(after)) })
      return after
    })
  },
})

const noMember = () => new AppError('forbidden', 'You are not an active member of this organization.')

function view(userId: string, { preferences, createdAt, updatedAt }: StoredPreferences): z.infer<typeof PreferencesView> {
  return { userId, preferences, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
}
