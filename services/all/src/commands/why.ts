import type { Command } from 'commander'
import { findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { homeOf } from '../home.ts'
import { allServices } from '../services.ts'
import type { Chain } from '../trace/chain.ts'
import { explain } from '../trace/explain.ts'
import { partLines, stopLines, timelineLines } from '../trace/lines.ts'
import { outcomeOf, partsOf } from '../trace/parts.ts'
import { dataOption, jsonOption } from './options.ts'

export function addWhy(parley: Command, context: Context): void {
  parley
    .command('why')
    .description('What led to what for a message, event or receipt: each step with its time, and where it stopped.')
    .argument('<id>', "id of a message (ours or the provider's), an event or a receipt")
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nExamples:\n  parley why 0199c1f0-…     an event, message or receipt\n  parley why AbC123-gSIMU   a message as the provider names it',
    )
    .action(async (id: string, options: { json?: true; data?: string }) => {
      const chains = await explain(findApi(homeOf(options.data, context.environment), context.environment), allServices, id)
      if (options.json) return context.out(JSON.stringify(chains.map(chainJson), null, 2))
      for (const chain of chains) for (const line of chainLines(chain)) context.out(line)
    })
}

/** A whole chain for the terminal. */
export function chainLines(chain: Chain): string[] {
  const stops = stopLines(chain)
  return [
    `Since ${new Date(chain.startedAt).toISOString()}, chain ${chain.correlationId}${chain.traceId === null ? '' : `, trace ${chain.traceId}`}:`,
    ...timelineLines(chain),
    ...(stops.length > 0 ? ['', ...stops] : []),
    '',
    ...partLines(chain),
    '',
  ]
}

export function chainJson(chain: Chain) {
  const outcome = outcomeOf(chain)
  return { ...chain, finished: chain.stops.length === 0, parts: outcome ? partsOf(chain, outcome) : [] }
}
