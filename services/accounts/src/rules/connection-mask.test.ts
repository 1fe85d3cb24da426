import { expect, test } from 'vitest'
import { maskCredential, maskCredentials, redact } from './connection-mask.ts'

test('of a long credential the last four characters are shown, of a short one nothing', () => {
  expect(maskCredential('whapi-token-of-channel-1234')).toBe('•••1234')
  expect(maskCredential('hunter2hunter2!')).toBe('•••')
  expect(maskCredentials({ user: 'shop', password: 'correct horse battery staple' })).toEqual({
    user: '•••',
    password: '•••aple',
  })
})

test('a credential that a provider repeats is not passed on: whole, encoded, in base64 or by half', () => {
  const apiKey = 'sk-live-0123456789/abcdefgh='
  const said = [
    apiKey,
    encodeURIComponent(apiKey),
    Buffer.from(apiKey).toString('base64'),
    apiKey.slice(0, 14),
    apiKey.slice(-14),
  ]
  for (const text of said) {
    const clean = redact(`Incorrect API key provided: ${text}. Find yours in the settings.`, { apiKey })
    expect(clean).toBe('Incorrect API key provided: •••. Find yours in the settings.')
  }
})

test('control characters and length of a stranger’s text are bounded', () => {
  expect(redact('no\r\n\u0000such\tshop', {})).toBe('no such shop')
  expect(redact('x'.repeat(10_000), {})).toHaveLength(500)
})
