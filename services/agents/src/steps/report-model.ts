import { connectionReported } from '@parley/contracts'
import type { CommitTools } from '@parley/runtime'
import type { App } from '../app.ts'
import type { ModelChoice } from '../models.ts'
import { reportOf } from '../rules/model-report.ts'

/** Says how an organization's own model account works, seldom: not as many events again as there are turns. */
export function reportModel(
  { emit }: CommitTools,
  app: App,
  { connection }: ModelChoice,
  asked: { why: string | null; errorClass: string | null },
): void {
  const report = reportOf(asked)
  if (connection === null || report === null) return
  const { connectionId, revision } = connection
  const seldom = report.outcome === 'ok' ? app.useReports : app.troubleReports
  if (!seldom.isDue(`${connectionId} ${revision} ${report.outcome}`)) return
  emit(connectionReported, { connectionId, ...report, rateLimit: null, at: app.now().toISOString() })
}
