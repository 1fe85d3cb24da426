import { expect, test } from 'vitest'
import { isOldHash, openPasswords } from './passwords.ts'

const passwords = openPasswords()

test('a password is known again, another one is not, and the same one is never stored twice alike', async () => {
  const stored = await passwords.hash('correct horse')
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(await passwords.verify('correct horse', stored)).toBe(true)
  expect(await passwords.verify('correct horsf', stored)).toBe(false)
  expect(await passwords.hash('correct horse')).not.toBe(stored)
})

test('the reference implementation agrees, and another cost is read from the text', async () => {
  // test.c of the reference implementation: argon2id, version 19, 64 MiB, two passes, "password" with "somesalt".
  const stored = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  expect(await passwords.verify('password', stored)).toBe(true)
  expect(await passwords.verify('passwort', stored)).toBe(false)
  expect(isOldHash(stored)).toBe(true)
  expect(isOldHash(await passwords.hash('correct horse'))).toBe(false)
})

test('without a stored password the answer is no, after as much work', async () => {
  const stored = await passwords.hash('correct horse')
  const times = { known: [] as number[], unknown: [] as number[] }
  for (let i = 0; i < 15; i++) {
    for (const [kind, text] of [
      ['known', stored],
      ['unknown', null],
    ] as const) {
      const started = performance.now()
      expect(await passwords.verify('wrong', text)).toBe(false)
      times[kind].push(performance.now() - started)
    }
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[7] as number
  expect(median(times.unknown) / median(times.known)).toBeGreaterThan(0.7)
  expect(median(times.unknown) / median(times.known)).toBeLessThan(1.4)
})

test('a flood waits, and what does not fit is refused at once', async () => {
  const narrow = openPasswords({ concurrent: 1, waiting: 3 })
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => narrow.verify('x', null)))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(4)
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'unavailable' })
  // And afterwards the place is free again.
  expect(await narrow.verify('x', null)).toBe(false)
})
