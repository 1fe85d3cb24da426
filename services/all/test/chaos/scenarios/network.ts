import type { Fault } from '@parley/providers/whapi'
import type { ProxyMode } from '@parley/runtime/testing'
import { setTimeout as wait } from 'node:timers/promises'
import type { Scenario } from '../scenario.ts'
import { serviceNames } from '../world.ts'

/** Ways in which a line fails. One-way: what we say arrives and the answer does not, or the other way round. */
const cuts: readonly ProxyMode[] = [
  { kind: 'black-hole' },
  { kind: 'half-open', drops: 'to-client' },
  { kind: 'half-open', drops: 'to-server' },
  { kind: 'refuse' },
  { kind: 'delay', ms: 300, jitterMs: 400 },
  { kind: 'reset-after', bytes: 20_000 },
]

export const networkParts: Scenario = {
  fault: 'F16',
  title: 'partitions between a service and the broker, Postgres, or both; one-way ones too',
  settleMs: 120_000,
  async run({ world, sender, random, quick }) {
    const rounds = quick ? 2 : 12
    const load = sender.load({ customersAtOnce: 8, pauseMs: 800 })
    const done: string[] = []
    try {
      for (let round = 0; round < rounds; round++) {
        const service = random.pick(serviceNames)
        const mode = cuts[round % cuts.length] as ProxyMode
        const lines = random.pick(['broker', 'database', 'both'] as const)
        const { broker, database } = world.networks[service]
        if (lines !== 'database') broker.set(mode)
        if (lines !== 'broker') database.set(mode)
        await wait(quick ? 3_000 : random.pick([5_000, 10_000, 10_000, 30_000]))
        world.heal()
        done.push(`${service}-${lines} ${mode.kind}`)
        await wait(2_000)
      }
    } finally {
      world.heal()
      await load.stop()
    }
    return { rounds, note: done.slice(0, 3).join(', ') }
  },
}

export const providersFail: Scenario = {
  fault: 'F20',
  title: 'the gateway and the model are slow, broken, or take the message and cut the line',
  settleMs: 240_000,
  async run({ world, sender, random, quick }) {
    const { phone, model } = world
    const load = sender.load({ customersAtOnce: 6, pauseMs: 1_000 })
    const gateway: Fault[] = [
      { kind: 'drop', acts: true },
      { kind: 'drop', acts: false },
      { kind: 'status', status: 500, acts: true },
      { kind: 'status', status: 503 },
      { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
      { kind: 'delay', afterMs: 12_000 },
      { kind: 'half_json' },
    ]
    const mind: Fault[] = [
      { kind: 'drop', acts: true },
      { kind: 'status', status: 500 },
      { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
      { kind: 'delay', beforeMs: 3_000 },
      { kind: 'half_json' },
    ]
    const rounds = quick ? gateway.length : gateway.length * 4
    try {
      for (const fault of Array.from({ length: rounds }, (_, round) => gateway[round % gateway.length] as Fault)) {
        phone.faults.next(fault)
        // One at a time: the model is tried twice before a turn waits, and a person comes only after three such turns.
        model.faults.next(random.pick(mind))
        await wait(random.int(500, 1_500))
      }
    } finally {
      await load.stop()
    }
    return { rounds, note: `${world.phone.requests()} calls at the gateway` }
  },
}
