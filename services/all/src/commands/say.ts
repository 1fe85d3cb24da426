import type { Command } from 'commander'
import { type Api, findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { Said, type Say } from '../control.ts'
import { failure, textOf } from '../failure.ts'
import { homeOf } from '../home.ts'
import { findRunning, type Running } from '../running.ts'
import { allServices } from '../services.ts'
import type { Chain } from '../trace/chain.ts'
import { findCorrelations } from '../trace/collect.ts'
import { readFinishedChain } from '../trace/explain.ts'
import { dataOption, jsonOption, phoneNumber, wholeNumber } from './options.ts'
import { chainJson, chainLines } from './why.ts'

interface Options {
  from: string
  timeout: number
  json?: true
  data?: string
}

export function addSay(parley: Command, context: Context): void {
  parley
    .command('say')
    .description('Write as a customer on the simulated phone; prints the answer and how it came about.')
    .argument('<text>', 'what the customer writes')
    .option('--from <phone>', "the customer's number", phoneNumber, '33612345678')
    .option('--timeout <seconds>', 'how long to wait for the answer', wholeNumber(0, 600), 30)
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nExamples:\n  parley say "Bonjour, où en est ma commande 1042 ?"\n  parley say "STOP" --from 33698765432\n  parley say "Hello" --json | jq .answer.text',
    )
    .action(async (text: string, options: Options) => {
      const home = homeOf(options.data, context.environment)
      const running = findRunning(home)
      const api = findApi(home, context.environment)
      const said = await sayThrough(running, { text, from: options.from, timeoutMs: options.timeout * 1_000 })
      const chain = await chainOf(api, said)
      if (!said.answer) context.outcome.exitCode = 1
      if (options.json) return context.out(JSON.stringify({ ...said, chain: chain ? chainJson(chain) : null }, null, 2))
      for (const line of saidLines(text, said, chain)) context.out(line)
    })
}

/** What a message led to, once it is over or `deadlineMs` have passed; undefined while nothing is known of it. */
export async function chainOf(api: Api, said: Said, deadlineMs = 3_000): Promise<Chain | undefined> {
  const names = allServices.map((service) => service.name)
  const [correlationId] = await findCorrelations(api, names, said.receiptId ?? said.providerMessageId)
  return correlationId === undefined ? undefined : readFinishedChain(api, allServices, correlationId, deadlineMs)
}

export function saidLines(text: string, said: Said, chain: Chain | undefined): string[] {
  return [
    `Customer: ${text}`,
    said.answer ? `Answer:   ${said.answer.text ?? '(no text)'}` : 'Answer:   none in time',
    '',
    ...(chain ? chainLines(chain) : ['Nothing is known of it yet; ask again with `parley why`.']),
    `Message ${said.providerMessageId}${said.receiptId === null ? '' : `, receipt ${said.receiptId}`}`,
  ]
}

async function sayThrough(running: Running | undefined, say: Say): Promise<Said> {
  if (!running)
    throw failure(
      '`say` writes on the simulated phone of a Parley that runs on this machine, and none does. Start one with `parley start`.',
    )
  if (!running.control)
    throw failure(
      'This Parley has no simulated phone: its WhatsApp channel is a real one (WHAPI_TOKEN is set). Write to it from a real phone.',
    )
  let response: Response
  let body: string
  try {
    response = await fetch(`${running.control.url}/say`, {
      method: 'POST',
      headers: { authorization: `Bearer ${running.control.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(say),
      signal: AbortSignal.timeout(say.timeoutMs + 30_000),
    })
    body = await response.text()
  } catch (cause) {
    throw failure(`The simulated phone does not answer: ${textOf(cause)}. \`parley doctor\` looks closer.`, cause)
  }
  if (!response.ok) throw failure(`The simulated phone refused: ${(JSON.parse(body) as { error?: string }).error ?? body}`)
  return Said.parse(JSON.parse(body))
}
