import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openApi } from '../src/api.ts'
import { startInstance, type Instance } from '../src/instance.ts'
import { findRunning } from '../src/running.ts'
import { allServices } from '../src/services.ts'
import { z } from 'zod'
import { type Here, makeHere } from './here.ts'

let here: Here
let instance: Instance
beforeAll(async () => {
  here = makeHere()
  instance = await startInstance({
    services: allServices,
    home: here.home,
    environment: here.environment,
    split: false,
    port: 0,
    verbose: false,
    say: () => {},
  })
})
afterAll(async () => {
  await instance?.stop()
  await here?.remove()
})

const api = () => openApi(findRunning(here.home)?.url ?? '', readFileSync(here.home.keyFile, 'utf8').trim())
const verify = (...args: string[]) => here.parley('audit', 'verify', ...args)

describe('parley audit verify', () => {
  test('holds, prints a head, and knows it again', async () => {
    // Provisioning the demo organization has changed a webhook source and a channel; the first look at the agents makes one.
    await api().get('/v1/agents', z.object({ items: z.array(z.unknown()).min(1) }))
    const sealed = () =>
      here.sql<{ type: string }>('select resource_type as type from accounts.audit_entries natural join accounts.audit_chain')
    const wanted = ['webhook_source', 'channel', 'agent']
    await vi.waitUntil(
      async () => {
        const types = (await sealed()).map((row) => row.type)
        return wanted.every((type) => types.includes(type))
      },
      { timeout: 10_000 },
    )
    const told = await verify()
    expect(told).toMatchObject({ code: 0, err: '' })
    const head = /^head (\d+:[0-9a-f]{64})$/m.exec(told.out)?.[1] ?? ''
    expect(Number(head.split(':')[0])).toBeGreaterThanOrEqual(3)
    expect((await verify('--head', head)).code).toBe(0)
    const json = JSON.parse((await verify('--json')).out)
    expect(json).toMatchObject({ ok: true, broken: null })
  })

  test('names the first entry that was edited, and exits with 1', async () => {
    const [second] = await here.sql<{ entry_id: string }>(`select entry_id from accounts.audit_chain where sequence = 2 limit 1`)
    await here.sql(`update accounts.audit_entries set actor_id = 'somebody else' where entry_id = $1`, [second?.entry_id])
    const told = await verify()
    expect(told.code).toBe(1)
    expect(told.out).toContain(`BROKEN at 2 (entry ${second?.entry_id}): it is not what was sealed.`)
    expect(told.out).toContain('1 links before it hold.')
  })

  test('wants a head as it prints it', async () => {
    expect(await verify('--head', '12')).toMatchObject({ code: 2, err: expect.stringContaining('It must be a head') })
    const other = await verify('--head', `1:${'0'.repeat(64)}`)
    expect(other.code).toBe(1)
    expect(other.out).toContain('written anew')
  })
})
