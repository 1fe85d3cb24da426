import { describe, expect, test } from 'vitest'
import { EmailAddress } from './email-address.ts'

const a = (length: number) => 'a'.repeat(length)

describe('an e-mail address', () => {
  test.each([
    ['zoe@shop.example', 'zoe@shop.example'],
    [' Zoe@Shop.Example\t', 'zoe@shop.example'],
    ['\u00a0zoe@shop.example', 'zoe@shop.example'],
    ['r&d@shop.example', 'r&d@shop.example'],
    ["a/b!c#d=e~f%g'h*i?j^k`l{m|n}o@shop.example", "a/b!c#d=e~f%g'h*i?j^k`l{m|n}o@shop.example"],
    ['zoe+orders@shop.example', 'zoe+orders@shop.example'],
    ['zoe@müller.example', 'zoe@xn--mller-kva.example'],
    ['zoe@xn--mller-kva.example', 'zoe@xn--mller-kva.example'],
    ['zoe@例え.テスト', 'zoe@xn--r8jz45g.xn--zckzah'],
    ['zoe@متجر.example', 'zoe@xn--pgbep1f.example'],
    ['zoe@1.2.example', 'zoe@1.2.example'],
    [`${a(64)}@shop.example`, `${a(64)}@shop.example`],
    [`zoe@${a(63)}.example`, `zoe@${a(63)}.example`],
  ])('%j is %j', (typed, address) => expect(EmailAddress.parse(typed)).toBe(address))

  test.each([
    '',
    'zoe',
    '@shop.example',
    'zoe@',
    'zoe@shop',
    'zoe@@shop.example',
    'a@b@shop.example',
    '.zoe@shop.example',
    'zoe.@shop.example',
    'z..e@shop.example',
    'zoé@shop.example',
    'zo e@shop.example',
    '"zoe"@shop.example',
    'zoe@[192.0.2.1]',
    'zoe@192.0.2.1',
    'zoe@1.2',
    `${a(65)}@shop.example`,
    `zoe@${a(64)}.example`,
    `zoe@${`${a(60)}.`.repeat(4)}example`,
    'zoe@shop-.example',
    'zoe@-shop.example',
    'zoe@shop..example',
    'zoe@shop.example.',
    'zoe@shop.example\r\nbcc: all@shop.example',
    'zoe@sh\u0000op.example',
    'zoe@a/b.example',
    'zoe@ü:8080.example',
    'zoe@ü/path.example',
    '<zoe@shop.example>',
  ])('%j is none', (typed) => expect(EmailAddress.safeParse(typed).success).toBe(false))
})
