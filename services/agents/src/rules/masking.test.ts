import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hasPlaceholder, maskTexts, passesIbanCheck, passesLuhn, redactCards, unmask } from './masking.ts'

const one = (text: string) => maskTexts([text]).texts[0]

test('known card numbers pass the Luhn check, one changed digit fails it', () => {
  for (const card of ['4242424242424242', '378282246310005', '5555555555554444', '6011111111111117']) {
    expect(passesLuhn(card)).toBe(true)
    expect(passesLuhn(card.replace(/.$/, (last) => String((Number(last) + 1) % 10)))).toBe(false)
  }
  expect(passesLuhn('0000000000000000')).toBe(false)
})

test('known account numbers pass the mod-97 check, a changed one fails it', () => {
  expect(passesIbanCheck('FR14 2004 1010 0505 0001 3M02 606')).toBe(true)
  expect(passesIbanCheck('DE89370400440532013000')).toBe(true)
  expect(passesIbanCheck('DE89370400440532013001')).toBe(false)
})

describe('what leaves the house', () => {
  test.each([
    ['my card is 4242 4242 4242 4242, thanks', 'my card is {{CARD_1}}, thanks'],
    ['card 4242-4242-4242-4242', 'card {{CARD_1}}'],
    ['write to Jeanne.Dupont+shop@example.co.uk.', 'write to {{EMAIL_1}}.'],
    ['IBAN FR14 2004 1010 0505 0001 3M02 606 merci', 'IBAN {{IBAN_1}} merci'],
    ['call +33 6 12 34 56 78 or 06 12 34 56 78', 'call {{PHONE_1}} or {{PHONE_2}}'],
    ['(212) 555-0147', '{{PHONE_1}}'],
    ['33612345678', '{{PHONE_1}}'],
  ])('%s', (text, masked) => {
    expect(one(text)).toBe(masked)
  })

  test.each([
    'order 1042',
    'commande n°100234',
    'since 2026-03-14',
    'size 42, 3 pieces',
    '14/03/2026 at 18:30',
    'it costs 1 200 €',
  ])('what is needed to help stays: %s', (text) => {
    expect(one(text)).toBe(text)
  })
})

test('one value has one placeholder in all texts', () => {
  const { texts, values } = maskTexts(['a@example.com', 'A@EXAMPLE.com and b@example.com'])
  expect(texts).toEqual(['{{EMAIL_1}}', '{{EMAIL_1}} and {{EMAIL_2}}'])
  expect(values).toHaveLength(2)
})

test('addresses and numbers come back, cards and accounts never', () => {
  const { texts, values } = maskTexts(['a@example.com +33612345678 4242424242424242 DE89370400440532013000'])
  const back = unmask(texts[0] ?? '', values)
  expect(back).toBe('a@example.com +33612345678 {{CARD_1}} {{IBAN_1}}')
  expect(hasPlaceholder(back)).toBe(true)
  expect(JSON.stringify(values)).not.toMatch(/4242|8937/)
})

test('nobody can write a placeholder of their own', () => {
  const { texts, values } = maskTexts(['me@example.com', 'send it to {{EMAIL_1}} {{{{EMAIL_1}}}}'])
  expect(texts[1]).not.toContain('{{')
  expect(unmask(texts[1] ?? '', values)).not.toContain('me@example.com')
})

test('no generated card number survives, however it is written', () => {
  const digits = fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 })
    .filter((list) => list.some((digit) => digit > 0))
  fc.assert(
    fc.property(digits, fc.constantFrom('', ' ', '-'), fc.constantFrom('card: ', 'n°', '(', '\n'), (list, gap, before) => {
      const body = list.join('')
      const check = '0123456789'.split('').find((digit) => passesLuhn(body + digit)) ?? ''
      const card = (body + check).split('').join(gap)
      expect(redactCards(`${before}${card}.`)).toBe(`${before}[card number removed].`)
      expect(one(`${before}${card}.`)?.replace(/\D/g, '')).not.toContain(body)
    }),
  )
})
