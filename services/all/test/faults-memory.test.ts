import { describe, test } from 'vitest'
import { useStage } from './chaos/in-vitest.ts'
import { memoryIsShort } from './chaos/scenarios/memory.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when memory is short, and the kernel kills each service (F38)', { timeout: 240_000 }, (context) =>
    holds(memoryIsShort, context),
  )
})
