import { type Command, Option } from 'commander'
import { z } from 'zod'
import { findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { homeOf } from '../home.ts'
import { allServices } from '../services.ts'
import { dataOption, jsonOption, moment } from './options.ts'

const Replayed = z.object({ service: z.string(), published: z.number(), more: z.boolean() })

export function addReplay(parley: Command, context: Context): void {
  parley
    .command('replay')
    .description('Publish events out of the outboxes to the broker again; handlers that had them do nothing.')
    .requiredOption('--since <moment>', 'from when on: ISO 8601, or 15m, 2h, 3d ago (outboxes keep 7 days)', (text: string) =>
      moment(text),
    )
    .addOption(new Option('--service <name>', 'events of one service only').choices(allServices.map(({ name }) => name)))
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nExamples:\n  parley replay --since 2h\n  parley replay --since 2026-05-01T12:00:00Z --service ingest',
    )
    .action(async (options: { since: string; service?: string; json?: true; data?: string }) => {
      const api = findApi(homeOf(options.data, context.environment), context.environment)
      const names = options.service === undefined ? allServices.map(({ name }) => name) : [options.service]
      const results: z.infer<typeof Replayed>[] = []
      // One after the other: what one service stated, others heard in that order too.
      for (const name of names) results.push(await api.post(`/v1/ops/${name}/replay`, { since: options.since }, Replayed))
      if (options.json) return context.out(JSON.stringify(results, null, 2))
      for (const { service, published, more } of results) {
        context.out(
          `${service.padEnd(10)} ${published} events published again${more ? '; there are more, begin later to get them' : ''}`,
        )
      }
    })
}
