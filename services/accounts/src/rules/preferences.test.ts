import { expect, test } from 'vitest'
import { changePreferences, defaultPreferences } from './preferences.ts'

test('there are eleven defaults, the ten of the document as it gives them', () => {
  expect(Object.keys(defaultPreferences)).toHaveLength(11)
  expect(defaultPreferences).toEqual({
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
  })
})

test('a change touches what it names; null is a value, left out is not', () => {
  const chosen = changePreferences({}, { elevenlabsVoiceId: 'voice-1', language: undefined })
  expect(chosen).toEqual({ ...defaultPreferences, elevenlabsVoiceId: 'voice-1' })
  expect(changePreferences(chosen, { elevenlabsVoiceId: null })).toEqual(defaultPreferences)
})

test('what was stored before a preference existed has its default', () => {
  expect(changePreferences({ language: 'fr' }, {})).toEqual({ ...defaultPreferences, language: 'fr' })
})
