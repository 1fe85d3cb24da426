import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type BreachedPasswords,
  type BreachedPasswordsSimulator,
  openBreachedPasswords,
  startBreachedPasswordsSimulator,
} from '../src/breached-passwords/index.ts'

// The client and the simulator of Pwned Passwords' range search hold the same contract.

/** The example of the service's author: SHA-1 21BD12DC183F740EE76F27B78EB39C8AD972A757 (troyhunt.com, on padding). */
const known = 'P@ssw0rd'

let service: BreachedPasswordsSimulator
let passwords: BreachedPasswords
beforeEach(async () => {
  service = await startBreachedPasswordsSimulator({ seen: { [known]: 52_579, 'été au soleil': 3 } })
  passwords = openBreachedPasswords({ baseUrl: service.url, timeoutMs: 300 })
})
afterEach(async () => {
  await passwords.close()
  await service.close()
})
const ask = (prefix: string, headers: Record<string, string> = {}) => fetch(`${service.url}/${prefix}`, { headers })

describe('the service', () => {
  test('answers five digits in either case with what follows them, and 400 to anything else', async () => {
    for (const prefix of ['21BD1', '21bd1']) {
      const answer = await ask(prefix)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain'])
      expect(await answer.text()).toBe('2DC183F740EE76F27B78EB39C8AD972A757:52579')
    }
    for (const prefix of ['21BD', '21BD12', 'GGGGG']) expect((await ask(prefix)).status).toBe(400)
  })

  test('pads its answer with lines of the count 0 when it is asked to', async () => {
    const rows = (await (await ask('21BD1', { 'add-padding': 'true' })).text()).split('\r\n')
    expect(rows).toHaveLength(800)
    expect(rows.filter((row) => !row.endsWith(':0'))).toEqual(['2DC183F740EE76F27B78EB39C8AD972A757:52579'])
    expect(await (await ask('00000')).text()).toBe('')
  })
})

describe('the client', () => {
  test('finds a password that was in a breach, and how often, and not one that was not', async () => {
    expect(await passwords.look(known)).toEqual({ outcome: 'breached', times: 52_579 })
    expect(await passwords.look('été au soleil')).toEqual({ outcome: 'breached', times: 3 })
    expect(await passwords.look('a gentle harbour at dusk')).toEqual({ outcome: 'not_seen' })
  })

  test('tells the service five digits of the hash and nothing else', async () => {
    await passwords.look(known)
    expect(service.asked).toEqual([createHash('sha1').update(known).digest('hex').slice(0, 5).toUpperCase()])
  })

  test('does not take a line of the padding for a sighting', async () => {
    const digits = createHash('sha1').update('a gentle harbour at dusk').digest('hex').toUpperCase()
    service.faults.next({ kind: 'status', status: 200, body: Buffer.from(`${digits.slice(5)}:0`, 'latin1') })
    expect(await passwords.look('a gentle harbour at dusk')).toEqual({ outcome: 'not_seen' })
  })

  test.each([
    ['is away', { kind: 'drop', acts: false }, /ECONNRESET|other side closed|socket/i],
    ['does not answer in time', { kind: 'delay', beforeMs: 2_000 }, /300 ms/],
    ['has too much to do', { kind: 'status', status: 429 }, /429/],
    ['is broken', { kind: 'status', status: 503 }, /503/],
    [
      'answers something else',
      { kind: 'status', status: 200, body: Buffer.from('<html>Sign in to the Wi-Fi</html>') },
      /not a list/,
    ],
    ['answers without end', { kind: 'oversize', bytes: 300_000 }, /262144 bytes/],
  ] as const)('says that there is no verdict when the service %s', async (_what, fault, message) => {
    service.faults.next(fault)
    expect(await passwords.look(known)).toEqual({ outcome: 'unanswered', message: expect.stringMatching(message) })
  })
})
