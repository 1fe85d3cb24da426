import type { Command } from 'commander'
import { findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import type { Finding } from '../doctor/finding.ts'
import { instanceFindings } from '../doctor/instance.ts'
import { machineFindings } from '../doctor/machine.ts'
import { homeOf } from '../home.ts'
import { findRunning } from '../running.ts'
import { dataOption, jsonOption } from './options.ts'

export function addDoctor(parley: Command, context: Context): void {
  parley
    .command('doctor')
    .description('Look for what is wrong here; each finding says what to do about it.')
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nExit code 1 when something is wrong. Nothing is changed; without a running Parley the embedded servers are started for a moment.',
    )
    .action(async (options: { json?: true; data?: string }) => {
      const { environment } = context
      const home = homeOf(options.data, environment)
      const running = findRunning(home)
      const findings = await machineFindings(home, environment, running)
      const elsewhere = Boolean(environment['PARLEY_URL'])
      if (elsewhere || running?.ready)
        findings.push(...(await instanceFindings(findApi(home, environment), elsewhere ? undefined : running)))
      else
        findings.push({
          check: 'instance',
          state: 'skipped',
          detail: running ? 'it is still starting' : 'none is running',
          remedy: null,
        })
      const failed = findings.filter((finding) => finding.state === 'failed')
      if (failed.length > 0) context.outcome.exitCode = 1
      if (options.json) return context.out(JSON.stringify({ ok: failed.length === 0, findings }, null, 2))
      for (const line of findings.flatMap(findingLines)) context.out(line)
      context.out(failed.length === 0 ? 'All is well.' : `${failed.length} of ${findings.length} checks failed.`)
    })
}

const marks: Record<Finding['state'], string> = { ok: 'ok     ', failed: 'FAILED ', skipped: 'skipped' }

function findingLines(finding: Finding): string[] {
  const first = `${marks[finding.state]} ${finding.check}: ${finding.detail}`
  return finding.remedy === null ? [first] : [first, `        ${finding.remedy}`]
}
