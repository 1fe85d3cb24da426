/** What a member can hear of. */
const notificationTopics = ['handovers', 'newConversations', 'usageWarnings', 'connectionErrors', 'weeklySummary'] as const
type NotificationTopic = (typeof notificationTopics)[number]
interface Ways {
  email: boolean
  sms: boolean
  inApp: boolean
}
export type Notifications = Record<NotificationTopic, Ways>

/** A change names topics, and of a topic only what becomes different. */
export type NotificationChange = { [Topic in NotificationTopic]?: { [Way in keyof Ways]?: boolean | undefined } | undefined }

export const defaultNotifications: Readonly<Notifications> = {
  handovers: { email: true, sms: false, inApp: true },
  newConversations: { email: false, sms: false, inApp: true },
  usageWarnings: { email: true, sms: false, inApp: true },
  connectionErrors: { email: true, sms: false, inApp: true },
  weeklySummary: { email: true, sms: false, inApp: false },
}

const mapTopics = <T>(work: (topic: NotificationTopic) => T) =>
  Object.fromEntries(notificationTopics.map((topic) => [topic, work(topic)])) as Record<NotificationTopic, T>

/** `current` with what `change` says; what it does not name stays. */
export function changeNotifications(current: Readonly<Notifications>, change: NotificationChange): Notifications {
  return mapTopics((topic) => {
    const { email, sms, inApp } = current[topic]
    const wanted = change[topic] ?? {}
    return { email: wanted.email ?? email, sms: wanted.sms ?? sms, inApp: wanted.inApp ?? inApp }
  })
}

/**
 * The part of `wanted` that differs from the defaults: only that is stored, so that a default which we change reaches everybody who
 * never said otherwise.
 */
export function differing(wanted: Readonly<Notifications>): NotificationChange {
  const differs = (topic: NotificationTopic) =>
    (['email', 'sms', 'inApp'] as const).some((way) => wanted[topic][way] !== defaultNotifications[topic][way])
  return Object.fromEntries(notificationTopics.filter(differs).map((topic) => [topic, wanted[topic]]))
}

/** What is stored over the defaults. */
export function notificationsOf(stored: NotificationChange): Notifications {
  return changeNotifications(defaultNotifications, stored)
}
