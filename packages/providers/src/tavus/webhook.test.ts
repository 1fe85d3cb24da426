import { callEnded, callRecorded, callStarted, callTranscribed } from '@parley/contracts'
import { describe, expect, test } from 'vitest'
import { openWebhook } from '../webhook/index.ts'
import { normalised, only, receivedAt, typesOf } from '../webhook/testing.ts'
import { tavusWebhook } from './webhook.ts'

function callback(event_type: string, properties: Record<string, unknown> = {}, also: Record<string, unknown> = {}) {
  return {
    properties,
    conversation_id: 'c123',
    webhook_url: 'https://x',
    event_type,
    message_type: 'system',
    timestamp: '2026-09-30T12:00:05.123456Z',
    ...also,
  }
}

const said = (event_type: string, properties: Record<string, unknown> = {}) =>
  normalised(tavusWebhook, callback(event_type, properties))

describe('who sent it', () => {
  const open = (body: unknown, accountId: string | null, headers = {}) =>
    openWebhook(tavusWebhook, { headers, rawBody: Buffer.from(JSON.stringify(body)), receivedAt }, { signing: [], accountId })
      .verdict

  test('a guessed conversation on the token of another is not found', () => {
    expect(open(callback('system.shutdown'), 'c123')).toEqual({ ok: true })
    expect(open(callback('system.shutdown'), 'c999')).toMatchObject({ status: 404 })
    expect(open({ event_type: 'system.shutdown' }, 'c123')).toMatchObject({ status: 404 })
    expect(open([], 'c123')).toMatchObject({ status: 404 })
  })

  test('a header is demanded where one is set up', () => {
    const request = { headers: {}, rawBody: Buffer.from('{}'), receivedAt }
    expect(
      tavusWebhook.verify(request, { signing: [], accountId: 'c123', header: { name: 'x-secret', values: ['s'] } }),
    ).toMatchObject({ status: 401 })
  })
})

describe('calls', () => {
  test('the old and the new name of joining are one start', () => {
    const old = said('system.replica_joined', { replica_id: 'r1' })
    const renamed = said('system.pal_joined', { replica_id: 'r1' })
    expect(only(old, callStarted)).toMatchObject({
      callKey: 'tavus:c123',
      channel: 'video',
      providerAgentId: 'r1',
      startedAt: '2026-09-30T12:00:05.123Z',
    })
    expect(renamed.items[0]?.dedupeKey).toBe(old.items[0]?.dedupeKey)
  })

  test.each([
    ['participant_left_timeout reached', 'answered'],
    ['end_conversation_endpoint_hit', 'answered'],
    ['max_call_duration reached', 'answered'],
    ['participant_absent_timeout reached', 'no_answer'],
    ['bot_could_not_join_meeting_it_was_probably_ended', 'failed'],
    ['exception_encountered_during_conversation_startup', 'failed'],
    ['internal error occurred at step 3', 'failed'],
  ])('a shutdown for "%s" is %s', (shutdown_reason, outcome) => {
    expect(only(said('system.shutdown', { shutdown_reason }), callEnded)).toMatchObject({ outcome, reason: shutdown_reason })
  })

  test('the instructions to the model are no part of a transcript', () => {
    const transcript = [
      { role: 'system', content: 'You are Léa. The discount code is SECRET.' },
      { role: 'assistant', content: 'Bonjour' },
      { role: 'user', content: 'Salut', seconds_from_start: 3 },
      { role: 'tool', content: '{}' },
      null,
    ]
    const result = said('application.transcription_ready', { replica_id: 'r1', transcript })
    expect(only(result, callTranscribed).turns).toEqual([
      { speaker: 'agent', text: 'Bonjour', offsetSeconds: null },
      { speaker: 'caller', text: 'Salut', offsetSeconds: 3 },
    ])
    expect(typesOf(said('application.transcription_ready'))).toEqual(['webhook.unrecognised'])
    expect(said('application.transcription_ready', { transcript: [] }).items).toEqual([])
  })

  test('a recording lies where it was copied to', () => {
    const ready = said('application.recording_ready', { s3_key: 'tavus/c123/1.mp4', bucket_name: 'our-bucket', duration: 42.5 })
    expect(only(ready, callRecorded)).toMatchObject({
      bucket: 'our-bucket',
      objectKey: 'tavus/c123/1.mp4',
      durationSeconds: 42.5,
    })
    expect(typesOf(said('application.recording_ready', { s3_key: 'x' }))).toEqual(['webhook.unrecognised'])
  })

  test('looks and moods are recognised and never carried', () => {
    const result = said('application.perception_analysis', { analysis: 'The user appears tired' })
    expect(typesOf(result)).toEqual(['unused'])
    expect(JSON.stringify(result)).not.toContain('tired')
  })

  test.each(['application.perception_unavailable', 'application.recording_copy_failed', 'application.post_call_action_executed'])(
    '%s is recognised and not used',
    (type) => {
      expect(typesOf(said(type))).toEqual(['unused'])
    },
  )
})

describe('the rest', () => {
  test('callbacks of trainings and videos have no event_type', () => {
    expect(typesOf(normalised(tavusWebhook, { replica_id: 'r1', status: 'completed', training_progress: '100/100' }))).toEqual([
      'unused',
    ])
    expect(typesOf(normalised(tavusWebhook, { video_id: 'v1', status: 'ready', download_url: 'https://x' }))).toEqual(['unused'])
  })

  test.each([
    [callback('application.invented')],
    [callback('constructor')],
    [{ event_type: 'system.shutdown' }],
    [callback('system.shutdown', {}, { conversation_id: 'a b' })],
    [{}],
    ['text'],
    [null],
  ])('%j is kept as unrecognised', (odd) => expect(typesOf(normalised(tavusWebhook, odd))).toEqual(['webhook.unrecognised']))
})
