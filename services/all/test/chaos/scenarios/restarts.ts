import type { Scenario } from '../scenario.ts'
import { runsTriedAgain, watchDuplicates, watchLanes } from '../watch.ts'
import { serviceNames } from '../world.ts'
import { expectThat } from './until.ts'

/** Longer than any graceful hand-over takes; a lapsed lease alone takes four seconds. */
const longestWithoutHolderMs = 5_000

export const rollingRestart: Scenario = {
  fault: 'F42',
  title: 'each service is restarted under load, one process after the other',
  async run({ world, sender, ledger, quick }) {
    const rounds = quick ? 1 : 10
    const before = ledger.sends.length
    const duplicates = watchDuplicates(world)
    await duplicates.look()
    const triedAgain = await runsTriedAgain(world)
    const lanes = watchLanes(world)
    const load = sender.load({ customersAtOnce: quick ? 6 : 10, pauseMs: 500 })
    try {
      for (let round = 0; round < rounds; round++) {
        for (const service of serviceNames) {
          await world.supervisor.rollingRestart(service)
          await duplicates.look()
        }
      }
    } finally {
      await load.stop()
    }
    await duplicates.look()
    const longestMs = await lanes.stop()
    const answers = ledger.sends.slice(before).flatMap((send) => send.answers)
    const failed = answers.filter((answer) => answer !== 200 && answer !== 503)
    expectThat(failed.length === 0, `requests failed: ${failed.join(', ')}`)
    expectThat(duplicates.seen() === 0, `${duplicates.seen()} events were brought twice`)
    const cutOff = (await runsTriedAgain(world)) - triedAgain
    expectThat(cutOff === 0, `${cutOff} job runs were cut off and tried again`)
    expectThat(longestMs < longestWithoutHolderMs, `a lane had no holder for ${longestMs} ms`)
    return { rounds, note: `${answers.filter((answer) => answer === 503).length} × 503; lanes free for ${longestMs} ms at most` }
  },
}
