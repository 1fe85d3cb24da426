import { join } from 'node:path'
import { check, type Expectations, type Verdict } from './checker.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { quiesce } from './quiesce.ts'
import { createRandom, type Random } from './random.ts'
import { createSender, type Sender } from './sender.ts'
import { startWorld, type World, type WorldOptions } from './world.ts'

/** A world with a sender and its book: what a scenario acts on. */
export interface Stage {
  world: World
  sender: Sender
  ledger: Ledger
  random: Random
  /** True in `npm test`: one round, short waits. */
  quick: boolean
  /** How long the long ones last. */
  minutes: number
  /** What the checker is to forgive, collected by the scenarios so far. */
  expected: Required<Pick<Expectations, 'isPlanted' | 'isShuffled' | 'mayBeHandedOver'>> & {
    plant(match: string): void
    forgive(chat: string): void
  }
  close(): Promise<void>
}

export interface Scenario {
  /** As in reliability.md §6. */
  fault: string
  title: string
  /** Breaks things under load and mends them again. Throws, or gives a remark for the table; the checker comes afterwards. */
  run(stage: Stage): Promise<{ rounds: number; note: string }>
  /** How long everything may take to settle after the fault. */
  settleMs?: number
  /** Why it cannot run on this machine, or undefined when it can. */
  impossible?(): string | undefined | Promise<string | undefined>
}

export interface Result extends Verdict {
  fault: string
  title: string
  seed: number
  rounds: number
  note: string
  seconds: number
  skipped: boolean
}

export async function openStage(options: WorldOptions & { seed: number; quick: boolean; minutes: number }): Promise<Stage> {
  const world = await startWorld(options)
  const random = createRandom(options.seed)
  const ledger = openLedger(join(options.folder, 'ledger.jsonl'))
  const planted: string[] = []
  const forgiven = new Set<string>()
  return {
    world,
    random,
    ledger,
    sender: createSender(world, ledger, random.fork('sender')),
    quick: options.quick,
    minutes: options.minutes,
    expected: {
      plant: (match) => planted.push(match),
      forgive: (chat) => forgiven.add(chat),
      isPlanted: ({ eventId, key }) => planted.some((match) => match === eventId || key.includes(match)),
      isShuffled: (chat) => planted.includes(chat),
      mayBeHandedOver: (chat) => forgiven.has(chat),
    },
    async close() {
      ledger.close()
      await world.stop()
    },
  }
}

/** Runs a scenario, heals the world, waits until it is calm, and holds it against the books. */
export async function play(stage: Stage, scenario: Scenario, seed: number): Promise<Result> {
  const started = performance.now()
  const before = stage.ledger.sends.length
  const { fault, title } = scenario
  const base = { fault, title, seed, skipped: false }
  const problem = await scenario.impossible?.()
  if (problem !== undefined) {
    return {
      ...base,
      rounds: 0,
      sent: 0,
      accepted: 0,
      lost: 0,
      doubled: 0,
      broken: [],
      note: `skipped: ${problem}`,
      seconds: 0,
      skipped: true,
    }
  }
  let outcome = { rounds: 0, note: '' }
  const broken: string[] = []
  try {
    outcome = await scenario.run(stage)
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error))
  }
  stage.world.heal()
  await quiesce(stage.world, scenario.settleMs ?? 60_000)
  const verdict = await check(stage.world, stage.ledger, stage.expected)
  // The invariants hold for the whole world; the numbers are this scenario's.
  const own = Map.groupBy(stage.ledger.sends.slice(before), ({ id }) => id)
  const accepted = [...own.values()].filter((sends) => sends.some((send) => send.outcome === 'ok')).length
  return {
    ...base,
    ...outcome,
    ...verdict,
    sent: own.size,
    accepted,
    broken: [...broken, ...verdict.broken],
    seconds: (performance.now() - started) / 1000,
  }
}
