// A vitest reporter that writes the counts of a run as JSON to the file named in PARLEY_TEST_SUMMARY.
import { writeFileSync } from 'node:fs'
import process from 'node:process'

export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') counts.passed++
        else if (state === 'failed') failedHere++
        else counts.skipped++
      }
      // A file that does not load, or whose hooks throw, fails without a failed test in it.
      if (failedHere === 0 && module.state() === 'failed') failedHere = 1
      counts.failed += failedHere
    }
    if (counts.failed === 0) counts.failed = unhandledErrors.length
    writeFileSync(process.env.PARLEY_TEST_SUMMARY, JSON.stringify(counts))
  }
}
