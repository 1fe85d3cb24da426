import { expect, test } from 'vitest'
import { apiOf, connectionOptions, isLimited } from './bus-login.ts'
import { Secret } from './config.ts'

test('a name and a password in the address are taken out of it, and may do everything', () => {
  const login = { url: 'nats://boss:p%40ss@one:4222, two:4222', user: 'parley' }
  expect(connectionOptions(login, 'me')).toMatchObject({
    servers: ['nats://one:4222', 'nats://two:4222'],
    user: 'boss',
    pass: 'p@ss',
  })
  expect([isLimited(login), apiOf(login)]).toEqual([false, '$JS.API'])
})

test('a password of our own makes a login with a list, whose answers come to its own inbox', () => {
  const login = { url: 'nats://one:4222', user: 'inbox', password: new Secret('word') }
  expect(connectionOptions(login, 'me')).toMatchObject({ user: 'inbox', pass: 'word', inboxPrefix: '_INBOX.inbox' })
  expect([isLimited(login), apiOf(login)]).toEqual([true, 'BUS.API'])
})

test('a broker without logins is told no name', () => {
  expect(connectionOptions({ url: 'nats://one:4222', user: 'inbox' }, 'me')).not.toHaveProperty('user')
})

test('a file of credentials that is not there stops the start', () => {
  expect(() => connectionOptions({ url: 'nats://one', user: 'inbox', credentialsFile: '/nowhere/at/all' }, 'me')).toThrow(
    'ENOENT',
  )
})
