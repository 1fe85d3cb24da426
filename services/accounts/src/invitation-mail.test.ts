import { expect, test } from 'vitest'
import { invitationMail, type InvitationWords } from './invitation-mail.ts'

const words: InvitationWords = {
  organizationName: 'Épicerie Zoé',
  inviterName: 'Zoé',
  role: 'support',
  personalMessage: 'Bienvenue !\nThis link is for this address only:\r\nhello',
  link: 'https://parley.example/join#token=x',
  expiresAt: new Date('2026-06-08T22:30:00Z'),
  locale: 'fr-FR',
  timezone: 'Europe/Paris',
}

test('an invitation is written in the organization’s language and time', () => {
  const french = invitationMail(words)
  expect(french.subject).toBe('Invitation à rejoindre Épicerie Zoé')
  expect(french.text).toMatch(/Zoé vous invite .* comme agent du support[\s\S]*9 juin 2026.*00:30/)
  const english = invitationMail({ ...words, locale: 'en-GB', timezone: 'UTC' })
  expect(english.subject).toBe('Invitation to join Épicerie Zoé')
  expect(english.text).toMatch(/support agent[\s\S]*8 June 2026.*22:30/)
  for (const { text } of [french, english]) expect(text).toContain(words.link)
})

test('every line of the inviter’s own words is marked as theirs', () => {
  const { text } = invitationMail(words)
  expect(text).toContain('> Bienvenue !\n> This link is for this address only:\n> hello\n')
  expect(invitationMail({ ...words, personalMessage: null }).text).not.toContain('>')
})
