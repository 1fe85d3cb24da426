import { describe, test } from 'vitest'
import { slow, useStage } from './chaos/in-vitest.ts'
import { databaseFreezes } from './chaos/scenarios/database.ts'
import { accountsIsLocked } from './chaos/scenarios/locks.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when Postgres stops answering, and people work in accounts (F12)', slow, (context) => holds(databaseFreezes, context))
  test('when tables and rows of accounts are locked (F14)', slow, () => holds(accountsIsLocked))
})
