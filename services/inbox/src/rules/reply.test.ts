import { describe, expect, test } from 'vitest'
import { botLoop, botLoopLimit, botLoopWindowMs, withReplyAt } from './bot-loop.ts'
import { type ReplyFacts, replyStillFits } from './reply.ts'

const now = new Date('2026-03-01T10:00:00Z')
const secondsAgo = (seconds: number) => new Date(now.getTime() - seconds * 1_000)
const turnId = '0195a000-0000-7000-8000-000000000001'

function facts(conversation: Partial<ReplyFacts['conversation']> = {}, reply: Partial<ReplyFacts['reply']> = {}): ReplyFacts {
  return {
    conversation: {
      status: 'open',
      lastHumanVersion: 0,
      handedOverTurnId: null,
      agentReplyTimes: [],
      erasedAt: null,
      consent: null,
      ...conversation,
    },
    reply: { turnId, basedOnVersion: 4, text: 'Bonjour', handOver: false, ...reply },
    now,
  }
}

describe('an agent’s draft', () => {
  test('goes out when nothing speaks against it', () => {
    expect(replyStillFits(facts())).toEqual({ fits: true })
  })
  test('is dropped when a person wrote after the agent had read', () => {
    expect(replyStillFits(facts({ lastHumanVersion: 5 }))).toEqual({ fits: false, reason: 'overtaken_by_person' })
  })
  test('goes out when the person’s message was part of what the agent read', () => {
    expect(replyStillFits(facts({ lastHumanVersion: 4 }))).toEqual({ fits: true })
  })
  test('is dropped in a conversation that a person has taken', () => {
    expect(replyStillFits(facts({ status: 'with_person' }))).toEqual({ fits: false, reason: 'with_person' })
  })
  test('may still announce the handover of its own turn', () => {
    expect(replyStillFits(facts({ status: 'with_person', handedOverTurnId: turnId }, { handOver: true }))).toEqual({ fits: true })
  })
  test('is dropped when a person wrote, even if its own turn handed over', () => {
    const conversation = { status: 'with_person', handedOverTurnId: turnId, lastHumanVersion: 5 } as const
    expect(replyStillFits(facts(conversation, { handOver: true }))).toEqual({ fits: false, reason: 'overtaken_by_person' })
  })
  test.each([
    ['closed', { status: 'closed' }],
    ['erased', { erasedAt: now }],
    ['no_consent', { consent: 'withdrawn' }],
  ] as const)('is dropped when the conversation is %s', (reason, conversation) => {
    expect(replyStillFits(facts(conversation))).toEqual({ fits: false, reason })
  })
  test('without words is dropped', () => {
    expect(replyStillFits(facts({}, { text: ' \n' }))).toEqual({ fits: false, reason: 'empty' })
  })
  test('that would be the eleventh in ten minutes is dropped as a loop, unless it hands over', () => {
    const agentReplyTimes = Array.from({ length: 10 }, (_, i) => secondsAgo(100 - i))
    expect(replyStillFits(facts({ agentReplyTimes }))).toEqual({ fits: false, reason: 'bot_loop' })
    expect(replyStillFits(facts({ agentReplyTimes }, { handOver: true }))).toEqual({ fits: true })
  })
})

describe('the loop breaker', () => {
  test('lets ten answers pass and stops the eleventh', () => {
    let times: Date[] = []
    for (let i = 0; i < botLoopLimit; i++) {
      expect(botLoop(times, now)).toBe(false)
      times = withReplyAt(times, now)
    }
    expect(botLoop(times, now)).toBe(true)
  })
  test('forgets answers older than its window', () => {
    const times = Array.from({ length: 10 }, () => new Date(now.getTime() - botLoopWindowMs - 1))
    expect(botLoop(times, now)).toBe(false)
  })
  test('keeps no more times than it looks at', () => {
    let times: Date[] = []
    for (let i = 0; i < 50; i++) times = withReplyAt(times, now)
    expect(times).toHaveLength(botLoopLimit)
  })
})
