import { describe, test } from 'vitest'
import { slow, useStage } from './chaos/in-vitest.ts'
import { accountsAway } from './chaos/scenarios/accounts.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when accounts is away, and nobody who is known notices', slow, () => holds(accountsAway))
})
