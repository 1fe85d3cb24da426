import { describe, test } from 'vitest'
import { slow, useStage } from './chaos/in-vitest.ts'
import { everyServiceDiesEverywhere, relayDiesBeforeMarking } from './chaos/scenarios/crashes.ts'
import { rollingRestart } from './chaos/scenarios/restarts.ts'

const holds = useStage()

describe('an accepted webhook is neither lost nor acted on twice', () => {
  test('when every service is restarted under load (F42)', slow, () => holds(rollingRestart))
  test('when a relay dies before it could note what it published (F5)', slow, () => holds(relayDiesBeforeMarking))
  // Dying before and after its commit are two of ingest's points.
  test('when each service dies at each of its crash points (F1, F2, F3)', slow, () => holds(everyServiceDiesEverywhere))
})
