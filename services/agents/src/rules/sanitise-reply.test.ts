import { describe, expect, test } from 'vitest'
import { maxReplyLength, type ReplyRules, sanitiseReply } from './sanitise-reply.ts'

const rules: ReplyRules = {
  allowedHosts: ['shop.example'],
  ownerText: 'Write to help@shop.example or call +33 1 23 45 67 89.',
  canary: '0123456789abcdef',
  masked: [
    { placeholder: '{{EMAIL_1}}', value: 'jo@example.com', restorable: true },
    { placeholder: '{{CARD_1}}', value: '', restorable: false },
  ],
}
const text = (reply: string) => {
  const result = sanitiseReply(reply, rules)
  return result.ok ? result.text : result.fault.rule
}

describe('links and images', () => {
  test.each([
    ['See https://evil.example/x?d=secret now', 'See now'],
    ['See [our page](https://evil.example/x).', 'See our page.'],
    ['Look ![x](https://evil.example/pixel?d=secret) here', 'Look here'],
    ['Go to evil.com/path, please', 'Go to, please'],
    ['Go to www.evil.org', 'Go to'],
    ['Click javascript:alert(1)', 'Click'],
    ['Or https://shop.example@evil.example/', 'Or'],
    ['Or https://shop.example.evil.example/', 'Or'],
    ['Or https://bank.example@shop.example/', 'Or'],
    ['Or hxxps://x ftp://evil.example/a', 'Or'],
    ['Or (https://evil.example/a) here', 'Or () here'],
    ['<img src=x onerror=1>Hello', 'Hello'],
    ['See https://shop.example/faq.', 'See https://shop.example/faq.'],
    ['See [the FAQ](https://www.shop.example/faq)', 'See the FAQ: https://www.shop.example/faq'],
    ['We are here, e.g. today. Size M.L or 3.5 fit.', 'We are here, e.g. today. Size M.L or 3.5 fit.'],
    ['Bonjour ! Ça va ?', 'Bonjour ! Ça va ?'],
  ])('%s', (reply, expected) => {
    expect(text(reply)).toBe(expected)
  })

  test('what was taken out is named', () => {
    const result = sanitiseReply('a ![x](http://y.example) http://z.example', rules)
    expect(result).toMatchObject({ ok: true, removed: ['image', 'link'] })
  })
})

describe('replies that are refused as a whole', () => {
  test.each([
    ['I sent it to evil@x.example', 'unknown_address'],
    ['Call +44 20 7946 0958', 'unknown_number'],
    ['The card {{CARD_1}} works', 'unresolved_placeholder'],
    ['Hello {{NAME_7}}', 'unresolved_placeholder'],
    ['Hello {{EMAIL_1', 'unresolved_placeholder'],
    ['0123456789abcdef', 'prompt_leak'],
    ['https://evil.example', 'nothing_left'],
    ['We will refund you.', 'claims_refund'],
  ])('%s', (reply, rule) => {
    expect(text(reply)).toBe(rule)
  })
})

test("the customer's own address comes back, the shop's own may be named", () => {
  expect(text('I note {{EMAIL_1}}.')).toBe('I note jo@example.com.')
  expect(text('Write to help@shop.example or +33 1 23 45 67 89.')).toBe('Write to help@shop.example or +33 1 23 45 67 89.')
})

test('a reply is never longer than a channel takes', () => {
  expect(text('word '.repeat(2_000))).toHaveLength(maxReplyLength)
})

test('a reply of half links, half promises and half numbers is judged in linear time', { timeout: 1_000 }, () => {
  for (const piece of ['a.', '[a](', '![', 'refund ', '1 2 3 ', '<a ', '+1 (', 'code ', 'a@b.', "n'"]) {
    expect(sanitiseReply(piece.repeat(6_000 / piece.length), rules)).toHaveProperty('ok')
  }
})
