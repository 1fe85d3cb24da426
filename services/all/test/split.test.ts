import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startInstance, type Instance } from '../src/instance.ts'
import { processStart } from '../src/running.ts'
import { allServices } from '../src/services.ts'
import { type Here, makeHere } from './here.ts'

// Real processes on a machine that may be busy: the limits of what is promised are asserted, not left to this.
vi.setConfig({ testTimeout: 120_000 })

let here: Here
let instance: Instance

beforeAll(async () => {
  here = makeHere()
  instance = await startInstance({
    services: allServices,
    home: here.home,
    environment: here.environment,
    split: true,
    port: 0,
    verbose: false,
    say: () => undefined,
  })
})
afterAll(async () => {
  await instance?.stop()
  await here?.remove()
})

const supervisor = () => {
  if (!instance.split) throw new Error('This is not the split shape.')
  return instance.split.supervisor
}
const phone = () => {
  if (!instance.simulators.phone) throw new Error('There is no simulated phone.')
  return instance.simulators.phone
}
let customers = 0
/** Somebody who has not written before: an agent keeps silent where it has handed over. */
const newCustomer = () => `3363998${String(1_000 + customers++)}`
const holders = async () =>
  (await here.sql<{ holder: string }>('select distinct holder from inbox.lane_leases where expires_at > now()')).map(
    (row) => row.holder,
  )

/** New customers write at once; resolves when each of them has exactly one answer. */
async function everyoneIsAnswered(count: number): Promise<void> {
  const everyone = Array.from({ length: count }, newCustomer)
  await Promise.all(everyone.map((from) => phone().customerSends({ from, text: 'Où en est ma commande ?', persist: true })))
  const answers = () => everyone.map((from) => phone().sentTo(from).length)
  await expect.poll(answers, { timeout: 20_000 }).toEqual(everyone.map(() => 1))
}

describe('the services as processes of their own', () => {
  test('do the main job behind one door, with two processes of inbox and agents', async () => {
    expect(
      supervisor()
        .replicas()
        .map((replica) => replica.service)
        .toSorted(),
    ).toEqual(['accounts', 'agents', 'agents', 'inbox', 'inbox', 'ingest', 'notifier'])
    const { code, out } = await here.parley('say', 'Bonjour, où en est ma commande 1042 ?', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out).chain.finished).toBe(true)
  })

  test('hand the lanes of a killed process over in less than 5 s, and lose nothing', async () => {
    await expect.poll(async () => (await holders()).length, { timeout: 20_000 }).toBe(2)
    const before = await holders()
    const deaths = supervisor().deaths()
    const [victim] = supervisor().live('inbox')
    const answered = everyoneIsAnswered(16)
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    const killedAt = performance.now()
    await expect
      .poll(
        async () => {
          const [row] = await here.sql<{ held: number }>(
            'select count(*)::int as held from inbox.lane_leases where expires_at > now()',
          )
          const now = await holders()
          return row?.held === 16 && before.some((holder) => !now.includes(holder))
        },
        { timeout: 10_000, interval: 50 },
      )
      .toBe(true)
    expect(performance.now() - killedAt).toBeLessThan(5_000)
    await answered
    await expect.poll(() => supervisor().live('inbox').length, { timeout: 20_000 }).toBe(2)
    expect(supervisor().deaths()).toBe(deaths + 1)
  })

  test('are replaced one by one while customers write, and everyone gets one answer', async () => {
    const before = supervisor()
      .live('agents')
      .map((replica) => replica.pid)
    const [restarted] = await Promise.all([supervisor().rollingRestart('agents'), everyoneIsAnswered(8)])
    expect(restarted).toBeUndefined()
    const after = supervisor()
      .live('agents')
      .map((replica) => replica.pid)
    expect(after).toHaveLength(2)
    expect(after.some((pid) => before.includes(pid))).toBe(false)
  })

  test('are all gone after the stop', async () => {
    const pids = supervisor()
      .replicas()
      .map((replica) => replica.pid)
    await instance.stop()
    expect(pids.map(processStart)).toEqual(pids.map(() => undefined))
  })
})
