import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startInstance, type Instance } from '../src/instance.ts'
import { allServices } from '../src/services.ts'
import { type Here, makeHere } from './here.ts'

const keys = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')] as const
let here: Here
let instance: Instance | undefined

const startWith = async (environment: Record<string, string>) => {
  await instance?.stop()
  instance = await startInstance({
    services: allServices,
    home: here.home,
    environment: { ...here.environment, ...environment },
    split: false,
    port: 0,
    verbose: false,
    say: () => {},
  })
  return instance
}
beforeAll(async () => {
  here = makeHere()
  const { api } = await startWith({ PARLEY_SECRET_KEY: keys[0] })
  const connection = { provider: 'custom', displayName: 'The till', credentials: { password: 'of the till' } }
  await api.post('/v1/connections', connection, z.object({ id: z.string() }))
})
afterAll(async () => {
  await instance?.stop()
  await here?.remove()
})

const rewrap = (...args: string[]) => here.parley('accounts', 'rewrap', ...args)

describe('parley accounts rewrap', () => {
  test('finds nothing to do when no key was changed', async () => {
    expect(await rewrap()).toEqual({
      code: 0,
      out: '1 of 1 data keys are wrapped with the new key.\nNothing that accounts keeps needs the old key any more.',
      err: '',
    })
  })

  test('exits with 1 while something needs the old key, and with 0 once nothing does', async () => {
    await startWith({ PARLEY_SECRET_KEY: keys[1], PARLEY_SECRET_KEY_PREVIOUS: keys[0] })
    const asked = await rewrap('--wait', '0')
    expect(asked).toMatchObject({ code: 1, err: '' })
    expect(asked.out).toContain('0 of 1 data keys are wrapped with the new key.')
    expect(asked.out).toContain('The old key must stay.')
    const waited = await rewrap('--json')
    expect(waited.code).toBe(0)
    expect(JSON.parse(waited.out)).toEqual({ done: true, total: 1, remaining: 0, remainingTexts: 0 })
    expect((await rewrap('--wait', '0')).code).toBe(0)
  })

  test('a data key that opens with no key of ours is waited for no longer than asked, and told', async () => {
    // Wrapped with a key that is gone: neither the current nor the previous one.
    await here.sql(`update accounts.key_holders set wrapped_by = 'lostlost'`)
    await here.sql(
      `update accounts.encryption_keys set wrapped = regexp_replace(wrapped, '^s1\\.[^.]+', 's1.lostlost') where wrapped is not null`,
    )
    const told = await rewrap('--wait', '1')
    expect(told.code).toBe(1)
    expect(told.out).toContain('0 of 1 data keys')
    expect(told.out).toContain('the log of accounts names it')
  })
})

test('a wait that is no time is refused', async () => {
  expect(await rewrap('--wait', 'long')).toMatchObject({ code: 2, err: expect.stringContaining('from 0 to 3600') })
})
