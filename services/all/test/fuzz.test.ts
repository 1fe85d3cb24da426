import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createRandom } from './chaos/random.ts'
import { fuzz, type Ground, openGround } from './fuzz/fuzz.ts'

/** Another place each time, and the same one again for who names the seed. */
const seed = Number(process.env['PARLEY_FUZZ_SEED'] ?? randomInt(1, 2 ** 31))

let ground: Ground
beforeAll(async () => {
  ground = await openGround({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await ground?.close()
})

test('nothing that a provider or a caller sends breaks a call, hurts a neighbour or stays in an outbox', async () => {
  console.log(`PARLEY_FUZZ_SEED=${seed}`)
  const { broken, statuses } = await fuzz(ground, createRandom(seed), { deliveries: 120, calls: 300, longest: true })
  expect(broken, `PARLEY_FUZZ_SEED=${seed} replays it`).toEqual([])
  // It tried something: hostile values were taken, and others were refused.
  expect(statuses['200']).toBeGreaterThan(160)
  expect(statuses['400']).toBeGreaterThan(100)
}, 180_000)
