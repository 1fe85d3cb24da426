import { callEnded, callRecorded } from '@parley/contracts'
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { expectSound, normalised, only, typesOf } from '../webhook/testing.ts'
import { elevenlabsWebhook } from './webhook.ts'
import { startSignatureCheck } from './webhook-signature.ts'

const nowSeconds = 1_790_769_600
const body = '{"type":"post_call_transcription"}'
const secrets = { signing: ['current', 'previous'], accountId: null }
const mac = (timestamp: string, text = body, key = 'current') =>
  createHmac('sha256', key).update(`${timestamp}.${text}`).digest('hex')
const at = (seconds: number) => `t=${seconds},v0=${mac(String(seconds))}`

function verify(signature: string | string[] | undefined, text = body) {
  const request = {
    headers: { 'elevenlabs-signature': signature },
    rawBody: Buffer.from(text),
    receivedAt: new Date(nowSeconds * 1_000),
  }
  return elevenlabsWebhook.verify(request, secrets)
}

describe('who sent it', () => {
  test('either secret, either order of the pairs, unknown pairs beside them', () => {
    const t = String(nowSeconds)
    expect(verify(at(nowSeconds))).toEqual({ ok: true })
    expect(verify(`v0=${mac(t)},t=${t}`)).toEqual({ ok: true })
    expect(verify(`t=${t},v1=abc,v0=${mac(t, body, 'previous')}`)).toEqual({ ok: true })
  })

  test('the window is 30 minutes, both ways', () => {
    for (const seconds of [1_800, -1_800]) expect(verify(at(nowSeconds + seconds))).toEqual({ ok: true })
    for (const seconds of [1_801, -1_801]) {
      expect(verify(at(nowSeconds + seconds))).toMatchObject({ status: 401, reason: 'signature_outside_window' })
    }
  })

  const t = String(nowSeconds)
  test.each([
    ['missing', undefined],
    ['empty', ''],
    ['without t', `v0=${mac(t)}`],
    ['without v0', `t=${t}`],
    ['with t=abc', `t=abc,v0=${mac('abc')}`],
    ['with t=1e3', `t=1e3,v0=${mac('1e3')}`],
    ['with a fraction', `t=${t}.0,v0=${mac(`${t}.0`)}`],
    ['with a sign', `t=+${t},v0=${mac(`+${t}`)}`],
    ['with t twice', `t=${t},t=${t},v0=${mac(t)}`],
    ['with v0 twice', `t=${t},v0=${mac(t)},v0=${mac(t)}`],
    ['sent in two headers', [at(nowSeconds), at(nowSeconds)]],
    ['joined out of two headers', `${at(nowSeconds)}, ${at(nowSeconds)}`],
    ['cut short', `t=${t},v0=${mac(t).slice(0, 62)}`],
    ['of odd length', `t=${t},v0=${mac(t).slice(0, 63)}`],
    ['in base64', `t=${t},v0=${Buffer.from(mac(t), 'hex').toString('base64')}`],
    ['followed by a line end', `${at(nowSeconds)}\n`],
    ['of another secret', `t=${t},v0=${mac(t, body, 'other')}`],
    ['of another time', `t=${nowSeconds - 1},v0=${mac(t)}`],
  ])('a signature %s is refused', (_what, signature) => {
    expect(verify(signature)).toMatchObject({ ok: false, status: 401 })
  })

  test('a changed, respaced or prefixed body is refused', () => {
    for (const changed of [`${body} `, body.replace(':', ': '), `\ufeff${body}`, ''])
      expect(verify(at(nowSeconds), changed)).toMatchObject({ status: 401 })
  })

  test('no secret means nobody gets in', () => {
    const request = {
      headers: { 'elevenlabs-signature': `t=${t},v0=${mac(t, body, '')}` },
      rawBody: Buffer.from(body),
      receivedAt: new Date(nowSeconds * 1_000),
    }
    expect(elevenlabsWebhook.verify(request, { signing: [''], accountId: null }).ok).toBe(false)
    expect(elevenlabsWebhook.verify(request, { signing: [], accountId: null }).ok).toBe(false)
  })

  test('a body that comes in pieces is checked as a whole', () => {
    const started = startSignatureCheck({ 'elevenlabs-signature': at(nowSeconds) }, new Date(nowSeconds * 1_000), secrets)
    if ('refused' in started) throw new Error('refused at the header')
    for (const piece of body.match(/.{1,5}/g) ?? []) started.check.update(Buffer.from(piece))
    expect(started.check.verdict()).toEqual({ ok: true })
  })

  test('a source for one agent takes no other agent', () => {
    const bound = { ...secrets, accountId: 'agent-1' }
    expect(elevenlabsWebhook.checkAccount({ data: { agent_id: 'agent-1' } }, bound)).toEqual({ ok: true })
    expect(elevenlabsWebhook.checkAccount({ data: { agent_id: 'agent-2' } }, bound)).toMatchObject({ status: 403 })
    expect(elevenlabsWebhook.checkAccount({ data: { agent_id: 'agent-2' } }, secrets)).toEqual({ ok: true })
  })
})

const callId = '01938f6e-1111-7000-8000-000000000001'
const finished = {
  type: 'post_call_transcription',
  event_timestamp: nowSeconds + 60,
  data: {
    agent_id: 'agent-1',
    conversation_id: 'conv-1',
    status: 'done',
    transcript: [
      { role: 'agent', message: 'Bonjour', time_in_call_secs: 0 },
      { role: 'agent', message: null, tool_calls: [{}] },
      { role: 'user', message: 'Oui', time_in_call_secs: 2 },
    ],
    metadata: {
      start_time_unix_secs: nowSeconds,
      call_duration_secs: 22,
      cost: 296,
      termination_reason: '',
      phone_call: { direction: 'outbound', agent_number: '+33100000000', external_number: 33612345678, type: 'twilio' },
    },
    analysis: {
      call_successful: 'success',
      transcript_summary: 'Confirmé.',
      data_collection_results: { confirmed: { value: true, rationale: '…' }, slot: { value: null }, nested: { value: {} } },
      evaluation_criteria_results: { polite: { result: 'success' } },
    },
    conversation_initiation_client_data: {
      dynamic_variables: { parley_call_id: callId, order: '#1001', system__caller_id: '+33', secret__token: 'x' },
    },
  },
}

const endOf = (parts: { data?: object; metadata?: object }) => {
  const data = { ...finished.data, ...parts.data, metadata: { ...finished.data.metadata, ...parts.metadata }, transcript: [] }
  return only(normalised(elevenlabsWebhook, { ...finished, data }), callEnded)
}

describe('calls', () => {
  test('a finished call ends, and is told in turns', () => {
    const result = normalised(elevenlabsWebhook, finished)
    expectSound(result)
    expect(result.items.map((item) => item.event?.data)).toMatchObject([
      {
        callKey: 'elevenlabs:conv-1',
        callId,
        outcome: 'answered',
        reason: null,
        direction: 'outbound',
        ourNumber: '+33100000000',
        otherNumber: '33612345678',
        startedAt: '2026-09-30T12:00:00.000Z',
        endedAt: '2026-09-30T12:00:22.000Z',
        judgedSuccessful: true,
        collected: [{ name: 'confirmed', value: 'true' }],
        criteria: [{ name: 'polite', value: 'success' }],
        variables: [
          { name: 'parley_call_id', value: callId },
          { name: 'order', value: '#1001' },
        ],
      },
      {
        part: 1,
        partCount: 1,
        turns: [
          { speaker: 'agent', text: 'Bonjour', offsetSeconds: 0 },
          { speaker: 'caller', text: 'Oui', offsetSeconds: 2 },
        ],
      },
    ])
  })

  test('a voicemail is found although it is "done", a failed one is failed, a browser call has no direction of a phone', () => {
    expect(endOf({ metadata: { features_usage: { voicemail_detection: { enabled: true, used: true } } } }).outcome).toBe(
      'voicemail',
    )
    expect(endOf({ data: { status: 'failed' } }).outcome).toBe('failed')
    expect(endOf({ metadata: { phone_call: null } })).toMatchObject({ direction: 'webcall', otherNumber: null })
  })

  test('our call id is found in user_id too, and only if it is one of ours', () => {
    const without = { conversation_initiation_client_data: {} }
    expect(endOf({ data: { ...without, user_id: callId } }).callId).toBe(callId)
    expect(endOf({ data: { ...without, user_id: 'user123' } }).callId).toBeNull()
  })

  test('an hour of talk comes in parts, and no turn is lost', () => {
    const transcript = Array.from({ length: 700 }, (_, i) => ({
      role: i % 2 ? 'user' : 'agent',
      message: `${i} ${'parole '.repeat(60)}`,
      time_in_call_secs: i,
    }))
    const result = normalised(elevenlabsWebhook, { ...finished, data: { ...finished.data, transcript } })
    expectSound(result)
    const parts = result.items
      .slice(1)
      .map((item) => item.event?.data as { part: number; partCount: number; turns: { offsetSeconds: number }[] })
    expect(parts.length).toBeGreaterThan(5)
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1))
    expect(new Set(parts.map(({ partCount }) => partCount))).toEqual(new Set([parts.length]))
    expect(parts.flatMap(({ turns }) => turns.map((turn) => turn.offsetSeconds))).toEqual(transcript.map((_, i) => i))
    expect(new Set(result.items.map((item) => item.dedupeKey)).size).toBe(result.items.length)
  })

  test('every collected answer is told, and what does not fit is said', () => {
    const answers = (n: number, value: string) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`answer ${i}`, { value }]))
    const told = (results: object, transcript: object[] = []) =>
      normalised(elevenlabsWebhook, {
        type: 'post_call_transcription',
        event_timestamp: 1,
        data: { conversation_id: 'c', metadata: {}, transcript, analysis: { data_collection_results: results } },
      }).items.map((item) => item.event?.data as Record<string, unknown[]>)
    expect(told(answers(80, 'yes'))[0]?.['collected']).toHaveLength(80)
    expect(told(answers(80, 'yes'))[0]?.['truncated']).toBeUndefined()
    expect(told(answers(80, 'é'.repeat(900)))[0]?.['truncated']).toEqual(['collected'])
    const words = 'mot '.repeat(5_000)
    const [, ...parts] = told({}, [{ role: 'user', message: words }])
    expect(
      parts
        .flatMap((part) => part['turns'] as { text: string }[])
        .map((turn) => turn.text)
        .join(''),
    ).toBe(words)
  })

  test('a time told as ISO text is the same moment as in seconds', () => {
    const told = (event_timestamp: unknown) =>
      normalised(elevenlabsWebhook, { type: 'call_initiation_failure', event_timestamp, data: { conversation_id: 'c' } }).items[0]
        ?.event?.data
    expect(told('2026-09-30T12:00:00+02:00')).toMatchObject({ endedAt: '2026-09-30T10:00:00.000Z' })
    expect(told('2026-09-30T12:00:00+02:00')).toEqual(told(Date.parse('2026-09-30T10:00:00Z') / 1_000))
  })

  test('a retry is the same fact, a later statement about the call is a new one', () => {
    const key = (event_timestamp: number) => normalised(elevenlabsWebhook, { ...finished, event_timestamp }).items[0]?.dedupeKey
    expect(key(1)).toBe(key(1))
    expect(key(1)).not.toBe(key(2))
  })

  test.each([
    ['busy', { type: 'twilio', body: { From: '+331', To: '+336', CallStatus: 'busy' } }, 'busy'],
    ['no-answer', { type: 'sip', body: { from_number: '+331', to_number: '+336' } }, 'no_answer'],
    ['unknown', { type: 'sip' }, 'failed'],
  ])('a call that failed as %s names its numbers', (failure_reason, metadata, outcome) => {
    const failed = {
      type: 'call_initiation_failure',
      event_timestamp: nowSeconds,
      data: { agent_id: 'a', conversation_id: 'c', failure_reason, metadata },
    }
    const numbers = 'body' in metadata ? { ourNumber: '+331', otherNumber: '+336' } : { ourNumber: null, otherNumber: null }
    expect(only(normalised(elevenlabsWebhook, failed), callEnded)).toMatchObject({
      outcome,
      reason: failure_reason,
      startedAt: null,
      ...numbers,
    })
  })

  test('a recording is referred to by its place, never carried', () => {
    const audio = {
      type: 'post_call_audio',
      event_timestamp: nowSeconds,
      data: { agent_id: 'a', conversation_id: 'c', full_audio: 'SUQzBAAA' },
    }
    const storedObject = { key: 'recordings/c.mp3', mimeType: 'audio/mpeg', sizeBytes: 6 }
    const result = normalised(elevenlabsWebhook, audio, { storedObject })
    expect(only(result, callRecorded)).toMatchObject({ bucket: null, objectKey: 'recordings/c.mp3', sizeBytes: 6 })
    expect(JSON.stringify(result.items[0]?.event?.data)).not.toContain('SUQz')
    expect(typesOf(normalised(elevenlabsWebhook, audio))).toEqual(['webhook.unrecognised'])
  })
})

describe('the rest', () => {
  test.each(['voice_removal_notice', 'voice_removal_notice_withdrawn', 'voice_removed', 'speech_to_text_transcription'])(
    '%s is recognised and not used',
    (type) => {
      expect(typesOf(normalised(elevenlabsWebhook, { type, data: {} }))).toEqual(['unused'])
    },
  )

  test.each([
    [{ type: 'agent_exploded', data: {} }],
    [{}],
    [[]],
    [null],
    [{ type: 'post_call_transcription', data: {} }],
    [{ type: 'post_call_transcription', data: { conversation_id: 'c' } }],
  ])('%j is kept as unrecognised', (odd) => expect(typesOf(normalised(elevenlabsWebhook, odd))).toEqual(['webhook.unrecognised']))
})
