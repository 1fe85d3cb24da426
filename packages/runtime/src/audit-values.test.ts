import { describe, expect, test } from 'vitest'
import { auditedValues } from './audit-values.ts'

describe('the values of an audit entry', () => {
  test('are plain JSON', () => {
    expect(auditedValues({ at: new Date('2026-03-01T10:00:00Z'), gone: undefined, list: [1, null] })).toEqual({
      at: '2026-03-01T10:00:00.000Z',
      list: [1, null],
    })
    expect(auditedValues(null)).toBeNull()
  })

  test.each(['token', 'accessToken', 'password', 'signingSecret', 'credentials', 'sealedToken', 'tokenHash', 'privateKey'])(
    'never hold what %s says, however deep',
    (name) => {
      const kept = JSON.stringify(
        auditedValues({ [name]: 'CANARY-1234', deep: { list: [{ [name]: { inner: 'CANARY-1234' } }] } }),
      )
      expect(kept).not.toContain('CANARY')
      expect(kept).toContain('•••')
    },
  )

  test('keep what only looks like a secret, and what is masked', () => {
    const values = { maxTokens: 4, tokenExpiresAt: '2026', hasSigningSecret: true, token: '•••ab12', password: null }
    expect(auditedValues(values)).toEqual(values)
  })

  test('keep the beginning, the length and the digest of a long text', () => {
    const kept = auditedValues({ instructions: 'é'.repeat(8_000) }) as { instructions: string } | null
    expect(kept?.instructions).toMatch(/^é{200}… \(8000 characters, SHA-256 [0-9a-f]{64}\)$/)
    expect(auditedValues({ instructions: `${'é'.repeat(7_999)}x` })).not.toEqual(kept)
  })

  test('fit into an event, however many they are', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`field${i}`, '\u0000'.repeat(900)]))
    expect(JSON.stringify(auditedValues(many)).length).toBeLessThan(1_000)
    expect(auditedValues({ list: Array.from({ length: 5_000 }, (_, i) => i) })).toMatchObject({
      list: expect.arrayContaining(['… and 4900 more']),
    })
  })
})
