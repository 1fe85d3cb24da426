import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { projectFolder } from '../src/home.ts'
import { openStage, play, type Scenario, type Stage } from './chaos/scenario.ts'
import { brokerIsKilled, streamIsDeleted } from './chaos/scenarios/broker.ts'
import { everyServiceDiesEverywhere, relayDiesBeforeMarking } from './chaos/scenarios/crashes.ts'
import { connectionsRunOut, databaseRestarts } from './chaos/scenarios/database.ts'
import { rollingRestart } from './chaos/scenarios/restarts.ts'
import { albumOfTen, poisonHoldsUpNobodyElse, reportsComeInAnyOrder, sameWebhookManyTimes } from './chaos/scenarios/senders.ts'

/** The short rounds of the chaos suite, on one Parley of real processes with servers of its own. The seed is in every failure. */
const seed = randomInt(1, 2 ** 31)
let stage: Stage
beforeAll(async () => {
  const folder = join(projectFolder, '.parley', `test-${process.pid}`)
  stage = await openStage({ folder, seed, quick: true, minutes: 0, replicas: { inbox: 2, agents: 2 } })
}, 90_000)
afterAll(async () => {
  await stage?.close()
}, 60_000)

/** Every invariant of reliability.md §5 is asserted after each of them, over all that was ever sent. */
async function holds(scenario: Scenario): Promise<void> {
  const result = await play(stage, scenario, seed)
  expect(result.broken, `seed ${seed}`).toEqual([])
  expect(result.sent).toBeGreaterThan(0)
  expect(result.accepted).toBe(result.sent)
}

const slow = { timeout: 150_000 }

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when it comes fifty times at once (F22)', slow, () => holds(sameWebhookManyTimes))
  test('when its reports come in any order (F23)', slow, () => holds(reportsComeInAnyOrder))
  test('when ten of them open a conversation together (F24)', slow, () => holds(albumOfTen))
  test('when others are poison (F26)', slow, () => holds(poisonHoldsUpNobodyElse))
  test('when every service is restarted under load (F42)', slow, () => holds(rollingRestart))
  test('when a relay dies before it could note what it published (F5)', slow, () => holds(relayDiesBeforeMarking))
  test('when the broker is killed (F6)', slow, () => holds(brokerIsKilled))
  test('when the stream or its consumers are deleted (F33)', slow, () => holds(streamIsDeleted))
  test('when Postgres restarts or crashes (F11)', slow, () => holds(databaseRestarts))
  test('when there is no connection to Postgres left (F13)', slow, () => holds(connectionsRunOut))
  // Last: it leaves every process a newly started one. F1 and F2 are two of its points.
  test('when each service dies at each of its crash points (F1, F2, F3)', slow, () => holds(everyServiceDiesEverywhere))
})
