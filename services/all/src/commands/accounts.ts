import type { Command } from 'commander'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { type Api, findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { homeOf } from '../home.ts'
import { dataOption, jsonOption, wholeNumber } from './options.ts'

const Progress = z.object({ total: z.number(), remaining: z.number(), remainingTexts: z.number() })
type Progress = z.infer<typeof Progress>

const path = '/v1/operator/rewrap'
const lookEveryMs = 500

export function addAccounts(parley: Command, context: Context): void {
  parley
    .command('accounts')
    .description('What the operator does about organizations and people.')
    .command('rewrap')
    .description(
      'After a change of PARLEY_SECRET_KEY: wrap and seal with the new key what the old one did, and say when that may go.',
    )
    .option('--wait <seconds>', 'how long to wait until all is done', wholeNumber(0, 3_600), 60)
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nSet the new key as PARLEY_SECRET_KEY and the old one as PARLEY_SECRET_KEY_PREVIOUS, restart, then run this; again does no\nharm. Exits with 1 while something still needs the old key. Channels and webhook sources that no connection made are not\namong it: docs/operations.md, "Rotating secrets and keys".',
    )
    .action(async (options: { wait: number; json?: true; data?: string }) => {
      const api = findApi(homeOf(options.data, context.environment), context.environment)
      const progress = await rewrap(api, performance.now() + options.wait * 1_000)
      if (!isDone(progress)) context.outcome.exitCode = 1
      if (options.json) return context.out(JSON.stringify({ done: isDone(progress), ...progress }, null, 2))
      for (const line of told(progress)) context.out(line)
    })
}

const isDone = ({ remaining, remainingTexts }: Progress) => remaining === 0 && remainingTexts === 0

/** Asks for it once, then looks until nothing is left or the time is over. */
async function rewrap(api: Api, until: number): Promise<Progress> {
  let progress = await api.post(path, {}, Progress)
  while (!isDone(progress) && performance.now() < until) {
    await pause(lookEveryMs)
    progress = await api.get(path, Progress)
  }
  return progress
}

function told(progress: Progress): string[] {
  const { total, remaining, remainingTexts } = progress
  const keys = `${total - remaining} of ${total} data keys are wrapped with the new key.`
  if (isDone(progress)) return [keys, 'Nothing that accounts keeps needs the old key any more.']
  const texts = `Texts still sealed with another (second factors, preferences, mail, signing keys): ${remainingTexts}.`
  const rest =
    'The old key must stay. Run this again; what is left then opens with no key of ours, and the log of accounts names it.'
  return remainingTexts === 0 ? [keys, rest] : [keys, texts, rest]
}
