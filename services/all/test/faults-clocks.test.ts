import { describe, test } from 'vitest'
import { slow, useStage } from './chaos/in-vitest.ts'
import { clocksDisagree } from './chaos/scenarios/clocks.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when clocks disagree, and jump (F28)', slow, (context) => holds(clocksDisagree, context))
})
