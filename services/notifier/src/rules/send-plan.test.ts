import type { Attachment } from '@parley/contracts'
import { describe, expect, test } from 'vitest'
import { planSend } from './send-plan.ts'

const file = (kind: Attachment['kind'], changes: Partial<Attachment> = {}): Attachment => ({
  kind,
  providerMediaId: null,
  url: 'https://shop.example/a',
  mimeType: null,
  sizeBytes: null,
  fileName: null,
  durationSeconds: null,
  sha256: null,
  ...changes,
})
const yesNo = [
  { id: 'y', title: 'Yes' },
  { id: 'n', title: 'No' },
]

describe('how a message goes to WhatsApp', () => {
  test('a text goes as a text', () => {
    expect(planSend({ text: 'Hello', attachment: null, quickReplies: [] })).toEqual({ kind: 'text', text: 'Hello', typed: false })
  })

  test('a text with choices goes with buttons', () => {
    expect(planSend({ text: 'Really?', attachment: null, quickReplies: yesNo })).toEqual({ kind: 'buttons', text: 'Really?' })
  })

  test.each([
    ['two choices share an id', [yesNo[0], yesNo[0]]],
    ['a title is blank', [{ id: 'a', title: '  ' }]],
  ])('choices become numbered lines when %s', (_name, quickReplies) => {
    expect(planSend({ text: 'Really?', attachment: null, quickReplies: quickReplies as typeof yesNo })).toEqual({
      kind: 'text',
      text: 'Really?',
      typed: true,
    })
  })

  test.each([
    ['image', 'image'],
    ['video', 'video'],
    ['file', 'document'],
  ] as const)('%s goes as %s with its caption', (kind, media) => {
    expect(planSend({ text: 'Look', attachment: file(kind), quickReplies: [] })).toEqual({
      kind: 'media',
      media,
      source: 'https://shop.example/a',
      caption: 'Look',
      typed: false,
    })
  })

  test('a file the gateway already has goes by its id', () => {
    expect(planSend({ text: null, attachment: file('audio', { providerMediaId: 'm-1' }), quickReplies: [] })).toMatchObject({
      media: 'audio',
      source: 'm-1',
    })
  })

  test('choices under a picture become numbered lines of its caption', () => {
    expect(planSend({ text: 'Which?', attachment: file('image'), quickReplies: yesNo })).toMatchObject({
      caption: 'Which?',
      typed: true,
    })
  })

  test.each([
    ['nothing to say', { text: null, attachment: null, quickReplies: [] }],
    ['blank text', { text: ' \n', attachment: null, quickReplies: yesNo }],
    ['a file that is nowhere', { text: null, attachment: file('image', { url: null }), quickReplies: [] }],
    ['audio with words', { text: 'Listen', attachment: file('audio'), quickReplies: [] }],
    ['choices without a question', { text: null, attachment: file('image'), quickReplies: yesNo }],
  ])('%s cannot be sent, and why is said', (_name, draft) => {
    expect(planSend(draft)).toEqual({ kind: 'impossible', reason: expect.stringMatching(/\w+.*\./) })
  })
})
