import { expect, test } from 'vitest'
import { takeRecording } from './recording.ts'

test('a recording is taken out of its body, and the rest stays', () => {
  const body = { type: 'post_call_audio', event_timestamp: 1, data: { agent_id: 'a', conversation_id: 'c', full_audio: 'AAAA' } }
  expect(takeRecording(body)).toEqual({
    base64: 'AAAA',
    reduced: { type: 'post_call_audio', event_timestamp: 1, data: { agent_id: 'a', conversation_id: 'c' } },
  })
})

test.each([
  null,
  [],
  'text',
  { type: 'post_call_transcription', data: { full_audio: 'AAAA' } },
  { type: 'post_call_audio' },
  { type: 'post_call_audio', data: { full_audio: '' } },
  { type: 'post_call_audio', data: { full_audio: 7 } },
])('%j holds no recording', (body) => {
  expect(takeRecording(body)).toBeUndefined()
})
