import { expect, test } from 'vitest'
import {
  canonicalLocale,
  canonicalPhone,
  isCurrency,
  isDomain,
  isOneLine,
  isTimezone,
  isWebsite,
  mayBeSubdomain,
} from './organization.ts'

const all = (check: (text: string) => unknown, texts: string[]) => texts.map((text) => Boolean(check(text)))
const every = (texts: string[], answer: boolean) => texts.map(() => answer)

test.each([
  [
    'a time zone',
    isTimezone,
    ['UTC', 'Europe/Paris', 'America/Argentina/Ushuaia', 'Pacific/Kiritimati'],
    ['', '+02:00', 'Mars/Base', 'Europe/Paris\n', '../etc'],
  ],
  ['a locale', canonicalLocale, ['en', 'fr-FR', 'zh-Hant-TW', 'ar'], ['', 'e', 'fr_FR', 'français', 'en-']],
  ['a currency', isCurrency, ['EUR', 'USD', 'JPY', 'XOF'], ['', 'eur', 'ABC', 'EU']],
  [
    'a subdomain',
    mayBeSubdomain,
    ['acme', 'a-1', '123'],
    ['', 'ab', '-acme', 'acme-', 'Acme', 'www', 'api', 'xn--80ak6aa92e', 'a.b', 'a'.repeat(64)],
  ],
  [
    'a domain',
    isDomain,
    ['acme.com', 'a.b.co.uk', 'x.museum'],
    ['', 'acme', 'acme.1', '-a.com', 'a..com', '127.0.0.1', `${'a'.repeat(250)}.com`],
  ],
  [
    'a website',
    isWebsite,
    ['https://acme.com', 'http://acme.com/a?b=c'],
    ['', 'acme.com', 'javascript:alert(1)', 'https://user:secret@acme.com', 'ftp://acme.com'],
  ],
  [
    'a phone number',
    canonicalPhone,
    ['+33612345678', '+1 (415) 555-0100'],
    ['', '0612345678', '+0123456789', '+33', '+336123456789012345'],
  ],
  ['one line', isOneLine, ['Acme', 'Société Générale', '日本'], ['', 'a\nb', 'a\r\nBcc: x', 'a\u2028b', 'a\u0000']],
] as const)('%s is told from what is none', (_name, check, good, bad) => {
  expect(all(check, [...good])).toEqual(every([...good], true))
  expect(all(check, [...bad])).toEqual(every([...bad], false))
})

test('locales and phone numbers are kept in one writing', () => {
  expect(canonicalLocale('FR-fr')).toBe('fr-FR')
  expect(canonicalPhone('+33 6 12.34-56 78')).toBe('+33612345678')
})
