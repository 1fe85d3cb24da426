import { describe, expect, test } from 'vitest'
import { isCommon } from './common-passwords.ts'
import { normalPassword, type PasswordOwner, refusePassword } from './password.ts'

const refuse = (password: string, owner: PasswordOwner) => refusePassword(password, owner, new Set(['1qaz2wsx']))

const person = { email: 'zoe.martin@example.org', names: ['Zoé', 'Martin', null], organizations: ['Fleurs du Midi'] }

describe('a password', () => {
  test.each([
    'correct horse battery',
    'Tr0ub4dor&3x',
    '           x',
    'пароль-на-завтра',
    '🔑🐴🔋📎🌧🚲🎹🧵',
    'x7'.padEnd(128, 'yq4m'),
  ])('is taken as %j', (password) => expect(refuse(password, person)).toBeUndefined())

  test.each([
    ['seven', 'sevenxy', 'at least 8'],
    ['129 characters', 'kx7'.repeat(43), 'at most 128'],
    ['a common word', 'password', 'tried first'],
    ['one with a year behind', 'Password2026!', 'tried first'],
    ['one of the list, in any case', '1QAZ2wsx', 'tried first'],
    ['the keyboard', 'azertyuiop', 'tried first'],
    ['digits in order', '1234567890', 'tried first'],
    ['digits backwards', '87654321', 'tried first'],
    ['one character', 'aaaaaaaaaaaa', 'tried first'],
    ['a short piece again and again', 'xy1xy1xy1xy1', 'tried first'],
    ['the name before the @', 'my-ZOE.martin-key', 'your name'],
    ['the family name', 'gloomy-martin-77', 'your name'],
    ['a word of the organization', 'les-FLEURS-2026', 'your organization'],
    ['another word of it', 'minuit à midi et demi', 'your organization'],
    ['this service', 'my.Parley.account', 'this service'],
  ])('is refused when it is %s', (_why, password, words) => expect(refuse(password, person)).toContain(words))

  test('is refused for a word of a name of several', () => {
    expect(refuse('gloomy-martin-77', { email: 'z@example.org', names: ['Zoé Martin'] })).toContain('your name')
    expect(refuse('the duke of Zog', { email: 'zo@example.org', names: ['Al de Zo'] })).toBeUndefined()
  })

  test('counts characters, not bytes: 8 emoji are enough, 4 are not', () => {
    expect(refuse('🔑🐴🔋📎', person)).toContain('at least 8')
  })

  test('is the same however its accents were typed', () => {
    expect(normalPassword('e\u0301te\u0301 au soleil')).toBe(normalPassword('été au soleil'))
  })

  test('is not common because a common word is part of it', () => {
    expect(isCommon('sunshine-over-the-harbour', new Set(['sunshine']))).toBe(false)
  })
})
