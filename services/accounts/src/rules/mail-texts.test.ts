import { describe, expect, test } from 'vitest'
import {
  alreadyHereMail,
  emailChangeMail,
  languageOf,
  magicLinkMail,
  passwordResetMail,
  securityMail,
  signUpMail,
} from './mail-texts.ts'

test.each([
  ['fr', 'fr'],
  ['fr-CA', 'fr'],
  ['FR', 'fr'],
  ['en-GB', 'en'],
  ['frr', 'en'],
  ['de', 'en'],
  [null, 'en'],
] as const)('for %j the language is %s', (locale, language) => expect(languageOf(locale)).toBe(language))

describe.each(['en', 'fr'] as const)('mail in %s', (language) => {
  const link = { url: 'https://app.example/do#token=SECRET', code: 'SECRET', minutes: 15 }
  const withLink = [signUpMail, magicLinkMail, passwordResetMail, emailChangeMail].map((write) => write(language, link))
  const others = [alreadyHereMail(language, 'https://app.example'), securityMail(language, 'token_reused', 'https://app.example')]

  test('with a link has the link, the token alone and how long they are good', () => {
    for (const { text } of withLink) {
      expect(text).toContain(link.url)
      expect(text).toMatch(/^Code ?: SECRET$/m)
      expect(text).toContain('15 minutes')
    }
  })

  test('has a subject of one line that holds no secret', () => {
    for (const { subject } of [...withLink, ...others]) {
      expect(subject).toMatch(/^[^\r\n]{5,60}$/)
      expect(subject).not.toContain('SECRET')
    }
  })
})

test('English and French say different things', () => {
  expect(signUpMail('fr', { url: 'u', code: 't', minutes: 1 }).text).toContain('Bienvenue')
  expect(signUpMail('en', { url: 'u', code: 't', minutes: 1 }).text).toContain('Welcome')
})
