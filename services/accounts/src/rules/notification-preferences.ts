import { z } from 'zod'

const Channel = z.strictObject({ email: z.boolean(), sms: z.boolean(), inApp: z.boolean() })

/** What a member hears of, and how. Stored are only the parts that differ from the defaults, so that a new default reaches everybody. */
export const NotificationPreferences = z.strictObject({
  handoffs: Channel,
  newConversations: Channel,
  usageWarnings: Channel,
  connectionErrors: Channel,
  weeklySummary: Channel,
})
export type NotificationPreferences = z.infer<typeof NotificationPreferences>
export type NotificationTopic = keyof NotificationPreferences

export const defaultNotifications: NotificationPreferences = {
  handoffs: { email: true, sms: false, inApp: true },
  newConversations: { email: false, sms: false, inApp: true },
  usageWarnings: { email: true, sms: false, inApp: true },
  connectionErrors: { email: true, sms: false, inApp: true },
  weeklySummary: { email: true, sms: false, inApp: false },
}

/** A change names topics, and of a topic only what becomes different. */
export const NotificationChange = z.strictObject({
  handoffs: Channel.partial().optional(),
  newConversations: Channel.partial().optional(),
  usageWarnings: Channel.partial().optional(),
  connectionErrors: Channel.partial().optional(),
  weeklySummary: Channel.partial().optional(),
})
export type NotificationChange = z.infer<typeof NotificationChange>

/** The stored preferences over the defaults. */
export function notificationsOf(stored: Partial<NotificationPreferences>): NotificationPreferences {
  return changeNotifications(defaultNotifications, stored)
}

/** `current` with what `change` says; what it does not name stays. */
export function changeNotifications(current: NotificationPreferences, change: NotificationChange): NotificationPreferences {
  const topic = (name: NotificationTopic) => ({ ...current[name], ...change[name] })
  return {
    handoffs: topic('handoffs'),
    newConversations: topic('newConversations'),
    usageWarnings: topic('usageWarnings'),
    connectionErrors: topic('connectionErrors'),
    weeklySummary: topic('weeklySummary'),
  }
}

/** The part of `wanted` that differs from the defaults. */
export function differing(wanted: NotificationPreferences): Partial<NotificationPreferences> {
  const entries = Object.entries(wanted) as [NotificationTopic, NotificationPreferences[NotificationTopic]][]
  return Object.fromEntries(
    entries.filter(([name, { email, sms, inApp }]) => {
      const usual = defaultNotifications[name]
      return email !== usual.email || sms !== usual.sms || inApp !== usual.inApp
    }),
  )
}
