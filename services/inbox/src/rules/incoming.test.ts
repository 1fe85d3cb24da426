import type { MessageContent } from '@parley/contracts'
import { describe, expect, test } from 'vitest'
import { commandOf, type IncomingFacts, isFuller, wantsReply, writerOf } from './incoming.ts'

const now = new Date('2026-03-01T10:00:00Z')
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000)

describe('who wrote a message', () => {
  test.each([
    [{ fromUs: false, origin: 'mobile', type: 'text' }, 'customer'],
    [{ fromUs: false, origin: null, type: 'image' }, 'customer'],
    [{ fromUs: true, origin: 'mobile', type: 'text' }, 'person'],
    [{ fromUs: true, origin: 'WEB', type: 'text' }, 'person'],
    [{ fromUs: true, origin: 'api', type: 'text' }, 'echo'],
    [{ fromUs: true, origin: null, type: 'text' }, 'echo'],
    [{ fromUs: true, origin: 'a new one', type: 'text' }, 'echo'],
    [{ fromUs: false, origin: 'system', type: 'text' }, 'provider'],
    [{ fromUs: true, origin: 'mobile', type: 'system' }, 'provider'],
  ] as const)('%j is a %s', (message, writer) => {
    expect(writerOf(message)).toBe(writer)
  })
})

describe('an agent is asked', () => {
  const facts: IncomingFacts = {
    sender: 'user',
    chatKind: 'person',
    type: 'text',
    command: { kind: 'none' },
    status: 'open',
    consent: null,
    sentAt: now,
    now,
  }
  test('for what a customer writes', () => {
    expect(wantsReply(facts)).toBe(true)
    expect(wantsReply({ ...facts, type: 'unsupported' })).toBe(true)
    expect(wantsReply({ ...facts, consent: 'granted', sentAt: hoursAgo(23) })).toBe(true)
    expect(wantsReply({ ...facts, command: { kind: 'ask', language: 'fr', aboutData: false } })).toBe(true)
  })
  test.each([
    { sender: 'human' },
    { sender: 'system' },
    { chatKind: 'group' },
    { chatKind: 'broadcast' },
    { type: 'system' },
    { status: 'with_person' },
    { consent: 'withdrawn' },
    { sentAt: hoursAgo(25) },
    { command: { kind: 'stop', word: 'STOP', language: 'en' } },
    { command: { kind: 'ask', language: 'fr', aboutData: true } },
  ] satisfies Partial<IncomingFacts>[])('but not with %j', (change) => {
    expect(wantsReply({ ...facts, ...change })).toBe(false)
  })
})

describe('a command in a chat', () => {
  const chatId = '33639980001@s.whatsapp.net'
  const own = { id: chatId, phone: '+33639980001' }
  const other = { id: '33639980002@s.whatsapp.net', phone: '+33639980002' }
  const heard = { writer: 'customer', chatKind: 'person', chatId, sender: own, text: 'SUPPRIMER' } as const

  test('erases for the person whose chat it is', () => {
    expect(commandOf(heard)).toMatchObject({ command: { kind: 'erase' }, foreign: false })
    expect(
      commandOf({ ...heard, chatId: '270000000000001@lid', sender: { id: '270000000000001@lid', phone: null } }),
    ).toMatchObject({ foreign: false })
    expect(commandOf({ ...heard, sender: { id: '270000000000001@lid', phone: '+33639980001' } })).toMatchObject({
      command: { kind: 'erase' },
    })
  })
  test('erases nothing for somebody else writing in it', () => {
    expect(commandOf({ ...heard, sender: other })).toEqual({ command: { kind: 'none' }, foreign: true })
    expect(commandOf({ ...heard, sender: other, text: 'START' })).toEqual({ command: { kind: 'none' }, foreign: true })
    // A hidden id is not the phone number of the same digits.
    expect(commandOf({ ...heard, sender: { id: '33639980001@lid', phone: null } })).toMatchObject({ foreign: true })
  })
  test('stops whoever says it: stopping too much can be undone', () => {
    expect(commandOf({ ...heard, sender: other, text: 'STOP' })).toMatchObject({ command: { kind: 'stop' }, foreign: false })
  })
  test('counts neither in a group nor from our own side', () => {
    expect(commandOf({ ...heard, chatKind: 'group' }).command.kind).toBe('none')
    expect(commandOf({ ...heard, writer: 'person' }).command.kind).toBe('none')
  })
})

test('a repeated message counts only when it brings the address of a file', () => {
  const content = (url: string | null): MessageContent => ({
    type: 'image',
    text: null,
    attachments: [
      {
        kind: 'image',
        providerMediaId: 'm1',
        url,
        mimeType: null,
        sizeBytes: null,
        fileName: null,
        durationSeconds: null,
        sha256: null,
      },
    ],
    location: null,
    contacts: [],
    choice: null,
    order: null,
  })
  expect(isFuller(content(null), content('https://media.example/1'))).toBe(true)
  expect(isFuller(content('https://media.example/1'), content('https://media.example/2'))).toBe(false)
  expect(isFuller(content('https://media.example/1'), content(null))).toBe(false)
})
