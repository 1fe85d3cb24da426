import { describe, expect, test } from 'vitest'
import { buildChain } from './chain.ts'
import type { Conversation, Receipt, ServiceTrace } from './collect.ts'
import { partLines, stopLines, timelineLines } from './lines.ts'
import { outcomeOf, partsOf } from './parts.ts'

const t0 = Date.parse('2026-05-01T12:00:00.000Z')
const at = (ms: number) => new Date(t0 + ms).toISOString()
const event = (id: string, type: string, ms: number, causationId: string | null) => ({
  id,
  type,
  key: 'conversation-1',
  time: at(ms),
  causationId,
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`,
})
const part = (service: string, more: Partial<ServiceTrace> = {}): ServiceTrace => ({
  service,
  events: [],
  handled: [],
  jobs: [],
  effects: [],
  deadLetters: [],
  ...more,
})
const receipt: Receipt = {
  id: 'receipt-1',
  provider: 'whapi',
  topic: 'messages.post',
  state: 'done',
  note: null,
  error: null,
  correlationId: 'receipt-1',
  eventCount: 1,
  duplicateCount: 0,
  receivedAt: at(0),
}

const job = {
  id: 'job-1',
  name: 'take-turn',
  state: 'completed',
  attempt: 1,
  createdAt: at(10),
  dueAt: at(1_010),
  startedAt: at(1_015),
  completedAt: at(1_065),
  causationId: 'event-2',
  error: null,
}
const send = {
  id: 'job-2',
  name: 'send-message',
  state: 'completed',
  attempt: 1,
  createdAt: at(1_070),
  dueAt: at(1_070),
  startedAt: at(1_072),
  completedAt: at(1_100),
  causationId: 'event-3',
  error: null,
}
const effect = {
  key: 'send:1',
  kind: 'whapi.send',
  state: 'confirmed',
  reference: 'provider-id',
  foundByLookup: false,
  tries: 1,
  detail: null,
  intendedAt: at(1_074),
  settledAt: at(1_094),
}

/** webhook → event-1 → inbox: event-2 → agents: job-1 → event-3 → notifier: job-2 → effect. */
const whole = (): ServiceTrace[] => [
  part('notifier', {
    handled: [{ eventId: 'event-3', handler: 'store', handledAt: at(1_068) }],
    jobs: [send],
    effects: [effect],
  }),
  part('agents', {
    handled: [{ eventId: 'event-2', handler: 'start-turn', handledAt: at(9) }],
    jobs: [job],
    events: [event('event-3', 'reply.proposed', 1_060, 'job-1')],
  }),
  part('inbox', {
    handled: [{ eventId: 'event-1', handler: 'receive-message', handledAt: at(5) }],
    events: [event('event-2', 'message.added', 6, 'event-1')],
  }),
  part('ingest', { events: [event('event-1', 'message.received', 2, 'receipt-1')] }),
]
const hearers = [
  { service: 'inbox', handler: 'receive-message', eventType: 'message.received' },
  { service: 'agents', handler: 'start-turn', eventType: 'message.added' },
]
const chainOf = (traces: ServiceTrace[], more: Partial<Receipt> = {}, conversation?: Conversation) =>
  buildChain({ correlationId: 'receipt-1', traces, receipt: { ...receipt, ...more }, conversation, hearers, now: t0 + 2_000 })

describe('a chain', () => {
  test('tells its steps in order of cause, with milliseconds since the webhook', () => {
    const chain = chainOf(whole())
    expect(chain.steps.map((step) => [step.startedAt - t0, step.service, step.kind, step.name])).toEqual([
      [0, 'ingest', 'received', 'whapi webhook'],
      [5, 'inbox', 'handled', 'receive-message'],
      [9, 'agents', 'handled', 'start-turn'],
      [1_015, 'agents', 'job', 'take-turn'],
      [1_068, 'notifier', 'handled', 'store'],
      [1_072, 'notifier', 'job', 'send-message'],
      [1_074, 'notifier', 'effect', 'whapi.send'],
    ])
    expect(chain.stops).toEqual([])
    expect(timelineLines(chain)[1]).toMatch(
      /^ +5 ms {2}inbox +receive-message hears message\.received → message\.added +event-1$/,
    )
  })

  test('names every step its cause', () => {
    const chain = chainOf(whole())
    const causes = chain.steps.map((step) => chain.steps.find((other) => other.id === step.cause)?.name ?? null)
    expect(causes).toEqual([null, 'whapi webhook', 'receive-message', 'start-turn', 'take-turn', 'store', 'send-message'])
  })

  test('splits its whole time into parts that add up', () => {
    const chain = chainOf(whole())
    const outcome = outcomeOf(chain)
    expect(outcome?.name).toBe('whapi.send')
    const parts = partsOf(chain, outcome as NonNullable<typeof outcome>)
    expect(parts.reduce((sum, { ms }) => sum + ms, 0)).toBe(1_094)
    expect(Object.fromEntries(parts.map(({ what, ms }) => [what, ms]))).toMatchObject({
      'ingest: take the whapi webhook in': 2,
      'agents: take-turn waits on purpose': 1_001,
      'agents: take-turn waits for a worker': 5,
      'agents: take-turn runs': 50,
      'notifier: whapi.send at the provider': 20,
    })
    expect(partLines(chain)[0]).toBe('  1094 ms  in all:')
  })
})

describe('a chain that did not run to its end says where it stopped and why', () => {
  const stopOf = (traces: ServiceTrace[], more: Partial<Receipt> = {}) => stopLines(chainOf(traces, more)).join('\n')
  const replaced = (service: string, more: Partial<ServiceTrace>) =>
    whole().map((trace) => (trace.service === service ? { ...trace, ...more } : trace))

  test('at an event that nobody has heard yet', () => {
    expect(stopOf(replaced('agents', { handled: [], jobs: [], events: [] }))).toContain(
      'start-turn has not heard message.added event-2 yet',
    )
  })

  test('at a dead letter, with its error and the way out', () => {
    const letter = {
      id: 'letter-1',
      service: 'agents',
      kind: 'event' as const,
      handler: 'start-turn',
      type: 'message.added',
      eventId: 'event-2',
      key: 'k',
      correlationId: 'receipt-1',
      state: 'dead' as const,
      errorClass: 'bug',
      error: 'TypeError: no such thing',
      attempts: 3,
      firstAt: at(9),
      lastAt: at(20),
    }
    const text = stopOf(replaced('agents', { handled: [], jobs: [], events: [], deadLetters: [letter] }))
    expect(text).toContain('Stopped in agents: start-turn could not take message.added (dead, 3 tries).')
    expect(text).toContain('TypeError: no such thing')
    expect(text).toContain('parley dead redrive letter-1')
    expect(text).not.toContain('has not heard')
    for (const state of ['dropped', 'recovered'] as const) {
      expect(stopOf(replaced('agents', { deadLetters: [{ ...letter, state }] }))).toBe('')
    }
    const held = { ...letter, kind: 'job' as const, handler: 'take-turn', state: 'held' as const, attempts: 0 }
    const waits = stopOf(replaced('agents', { jobs: [], events: [], deadLetters: [held] }))
    expect(waits).toContain('Stopped in agents: job take-turn is held.\n  Why: its organization is closed')
  })

  test('at a job that waits or is tried again, with its error', () => {
    const waiting = { ...job, state: 'created', dueAt: at(5_000), startedAt: null, completedAt: null }
    expect(stopOf(replaced('agents', { jobs: [waiting], events: [] }))).toContain('job take-turn waits, due in 3 s')
    const retry = { ...job, state: 'retry', attempt: 2, dueAt: at(1_900), completedAt: null, error: 'the model is away' }
    const text = stopOf(replaced('agents', { jobs: [retry], events: [] }))
    expect(text).toContain('failed 1 times and is tried again, due now')
    expect(text).toContain('the model is away')
  })

  test('at an effect whose outcome is unknown', () => {
    const text = stopOf(replaced('notifier', { effects: [{ ...effect, state: 'manual', reference: null, detail: 'time-out' }] }))
    expect(text).toContain('Stopped in notifier: whapi.send is manual.')
    expect(text).toContain('time-out')
  })

  test('at a conversation that a person had taken before', () => {
    const taken = {
      id: 'conversation-1',
      status: 'with_person',
      handedOverAt: at(-5_000),
      handedOverReason: 'asked_for_person',
      handedOverNote: null,
    }
    const silent = replaced('notifier', { handled: [], jobs: [], effects: [] })
    expect(stopLines(chainOf(silent, {}, taken)).join('\n')).toContain(
      'it is with a person since 2026-05-01T11:59:55.000Z (asked_for_person)',
    )
    // Handed over by this very chain, or answered all the same: nothing stopped.
    expect(stopLines(chainOf(silent, {}, { ...taken, handedOverAt: at(1_065) }))).toEqual([])
    expect(stopLines(chainOf(whole(), {}, taken))).toEqual([])
    expect(stopLines(chainOf(silent, {}, { ...taken, status: 'open' }))).toEqual([])
  })

  test('at a limit of the plan that gave the conversation to a person', () => {
    const taken = {
      id: 'conversation-1',
      status: 'with_person',
      handedOverAt: at(1_065),
      handedOverReason: 'limit_reached',
      handedOverNote: 'messages_used_up',
    }
    const silent = replaced('notifier', { handled: [], jobs: [], effects: [] })
    const text = stopLines(chainOf(silent, {}, taken)).join('\n')
    expect(text).toContain('(limit_reached): the messages of the plan are used up this month')
    expect(stopLines(chainOf(silent, {}, { ...taken, handedOverNote: 'model_unsure' }))).toEqual([])
  })

  test('at a receipt that was ignored, dead or a duplicate', () => {
    const nothing = [part('ingest'), part('inbox')]
    expect(stopOf(nothing, { eventCount: 0, duplicateCount: 2 })).toContain('a duplicate delivery')
    expect(stopOf(nothing, { eventCount: 0, state: 'ignored', note: 'a status broadcast' })).toContain(
      'is ignored.\n  Why: a status broadcast',
    )
    expect(stopOf(nothing, { eventCount: 0, state: 'dead', error: 'a bug' })).toContain('parley receipts replay receipt-1')
  })
})
