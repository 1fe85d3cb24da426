export const chatModes = ['normal', 'messenger', 'whatsapp', 'shopify', 'woocommerce'] as const
export const themes = ['system', 'light', 'dark'] as const

/** What a person sets up for themselves, the same in every organization. */
export interface Preferences {
  /** BCP 47. */
  language: string
  autoEscalate: boolean
  videoEnabled: boolean
  voiceEnabled: boolean
  autoTranscript: boolean
  tavusReplicaId: string | null
  elevenlabsVoiceId: string | null
  preferredChatMode: (typeof chatModes)[number]
  callHistoryEnabled: boolean
  notificationsEnabled: boolean
  theme: (typeof themes)[number]
}

/**
 * The defaults that are stored at the first read. Ten are named in the returns backend's document (`user_preferences`); it is meant
 * to have eleven but names no more, so the eleventh, the screen's theme, is ours.
 */
export const defaultPreferences: Readonly<Preferences> = {
  language: 'en',
  autoEscalate: false,
  videoEnabled: true,
  voiceEnabled: true,
  autoTranscript: true,
  tavusReplicaId: null,
  elevenlabsVoiceId: null,
  preferredChatMode: 'normal',
  callHistoryEnabled: true,
  notificationsEnabled: true,
  theme: 'system',
}

/** `current` with what `change` names; also fills in what was not there yet when `current` was stored. */
export function changePreferences(
  current: Partial<Preferences>,
  change: { [Name in keyof Preferences]?: Preferences[Name] | undefined },
): Preferences {
  const named = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
  return { ...defaultPreferences, ...current, ...named }
}
