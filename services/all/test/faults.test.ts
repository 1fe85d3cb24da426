import { describe, test } from 'vitest'
import { slow, useStage } from './chaos/in-vitest.ts'
import { brokerIsKilled, streamIsDeleted } from './chaos/scenarios/broker.ts'
import { connectionsRunOut, databaseRestarts } from './chaos/scenarios/database.ts'
import { albumOfTen, poisonHoldsUpNobodyElse, reportsComeInAnyOrder, sameWebhookManyTimes } from './chaos/scenarios/senders.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when it comes fifty times at once (F22)', slow, () => holds(sameWebhookManyTimes))
  test('when its reports come in any order (F23)', slow, () => holds(reportsComeInAnyOrder))
  test('when ten of them open a conversation together (F24)', slow, () => holds(albumOfTen))
  test('when others are poison (F26)', slow, () => holds(poisonHoldsUpNobodyElse))
  test('when the broker is killed (F6)', slow, () => holds(brokerIsKilled))
  test('when the stream or its consumers are deleted (F33)', slow, () => holds(streamIsDeleted))
  test('when Postgres restarts or crashes (F11)', slow, () => holds(databaseRestarts))
  test('when there is no connection to Postgres left (F13)', slow, () => holds(connectionsRunOut))
})
