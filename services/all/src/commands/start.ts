import type { Command } from 'commander'
import { randomInt } from 'node:crypto'
import type { Context } from '../cli.ts'
import { sayAs } from '../control.ts'
import { failure } from '../failure.ts'
import { type Home, homeOf } from '../home.ts'
import { type Instance, startInstance } from '../instance.ts'
import { allServices } from '../services.ts'
import { dataOption, wholeNumber } from './options.ts'
import { chainOf, saidLines } from './say.ts'

interface Options {
  split?: true
  port: number
  demo: boolean
  data?: string
  verbose?: true
}

const demoText = 'Bonjour, où en est ma commande 1042 ?'
const demoTimeoutMs = 30_000
/** The services' own grace time (25 s) and the servers' shutdown fit in; beyond it nobody waits for us. */
const stopTimeoutMs = 60_000

export function addStart(parley: Command, context: Context): void {
  parley
    .command('start')
    .description(
      'Start everything here: Postgres, NATS, every service, a simulated phone and model; play one message through it; stay up.',
    )
    .option('--split', 'each service as a process of its own, inbox and agents twice, behind one door')
    .option('--port <n>', 'where to listen; the next free port when it is taken', wholeNumber(0, 65_535), 8_080)
    .option('--no-demo', 'do not play the first message')
    .option(...dataOption)
    .option('--verbose', 'show what the services log')
    .addHelpText('after', startHelp)
    .action((options: Options) => start(options, context))
}

async function start(options: Options, context: Context): Promise<void> {
  const home = homeOf(options.data, context.environment)
  const began = performance.now()
  const wish = stopWish()
  let instance: Instance
  try {
    instance = await startInstance({
      services: allServices,
      home,
      environment: context.environment,
      split: options.split === true,
      port: options.port,
      verbose: options.verbose === true,
      say: (line) => context.out(line),
      signal: wish.signal,
    })
  } catch (error) {
    if (!wish.signal.aborted) throw error
    return context.out('Stopped while starting; nothing is left running.')
  }
  try {
    context.out(`Parley is up at ${instance.url} after ${((performance.now() - began) / 1_000).toFixed(1)} s.`)
    const messageId = options.demo ? await playDemo(instance, context, wish.signal) : undefined
    for (const line of nextLines(instance, home, messageId)) context.out(line)
    await wish.wished
  } finally {
    await within(stopTimeoutMs, instance.stop())
  }
  context.out('Stopped; nothing is left running, the data stays.')
}

/** The main job once, through the real door; resolves with the id to ask `why` about. */
async function playDemo(instance: Instance, context: Context, signal: AbortSignal): Promise<string | undefined> {
  const { phone } = instance.simulators
  if (!phone || signal.aborted) return undefined
  const said = await Promise.race([
    sayAs(phone, { text: demoText, from: newCustomer(), timeoutMs: demoTimeoutMs }),
    new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true })),
  ])
  if (!said) return undefined
  const chain = await chainOf(instance.api, said)
  context.out('')
  for (const line of saidLines(demoText, said, chain)) context.out(line)
  if (!said.answer) {
    // It stays up all the same: whoever looks for the reason needs it running.
    context.outcome.exitCode = 1
    context.err(
      `parley: No answer reached the simulated phone within ${demoTimeoutMs / 1_000} s; the lines above tell how far the message came.`,
    )
  }
  return said.receiptId ?? said.providerMessageId
}

async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          failure(`Not everything stopped within ${timeoutMs / 1_000} s; what is left is ended now. The next start cleans up.`),
        ),
      timeoutMs,
    )
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Somebody new each time: in a conversation of an earlier run a person may have taken over. Numbers kept free for fiction in France. */
const newCustomer = () => `33639981${String(randomInt(1_000)).padStart(3, '0')}`

function nextLines(instance: Instance, home: Home, messageId: string | undefined): string[] {
  const { facts, simulators } = instance
  const simulated = [simulators.phone ? 'phone' : '', simulators.model ? 'model' : ''].filter(Boolean).join(' and ')
  const source = Object.values(instance.state.sources)[0]
  return [
    '',
    ...(simulated === ''
      ? []
      : [
          `The ${simulated} ${simulators.phone && simulators.model ? 'are' : 'is'} simulated: no keys are set (WHAPI_TOKEN with WHAPI_CHANNEL_ID, MODEL_API_KEY).`,
        ]),
    ...(simulators.phone || !source
      ? []
      : [
          `Give Whapi this webhook: <your public address>${source.path}, with the header ${source.header.name} as in ${home.stateFile}.`,
        ]),
    'Try next, in another terminal:',
    ...(simulators.phone ? ['  npx parley say "Vous êtes ouverts le samedi ?"'] : []),
    ...(messageId === undefined ? [] : [`  npx parley why ${messageId}`]),
    `  curl -H "authorization: Bearer $(cat ${home.keyFile})" ${instance.url}/v1/conversations`,
    `  API and events   ${instance.url}/docs`,
    ...facts.adminUrls.map(
      ({ name, url }) => `  Metrics          ${url}/metrics${facts.adminUrls.length > 1 ? `   (${name})` : ''}`,
    ),
    `  Log              ${home.logFile}`,
    'Ctrl-C stops everything.',
  ]
}

/** Resolves at the first request to stop; a second one does not wait. */
function stopWish(): { signal: AbortSignal; wished: Promise<void> } {
  const controller = new AbortController()
  const wished = new Promise<void>((resolve) => controller.signal.addEventListener('abort', () => resolve(), { once: true }))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The children are tied to us: they end when we do, only less politely.
      if (controller.signal.aborted) process.exit(130)
      controller.abort()
    })
  }
  return { signal: controller.signal, wished }
}

const startHelp = `
Settings come from the environment. With nothing set, everything is embedded and simulated:
  PARLEY_POSTGRES_ADMIN_URL and PARLEY_NATS_URL   servers of your own
  PARLEY_DATABASE                                 name of the database (default: parley)
  WHAPI_TOKEN and WHAPI_CHANNEL_ID                a real WhatsApp channel
  MODEL_API_KEY, MODEL_BASE_URL, MODEL_NAME       a real model
  PARLEY_OWNER_EMAIL                              who owns the demo organization (default: owner@demo.example)
  PARLEY_OFFLINE=1                                never download a nats-server

Ctrl-C stops everything in order; a second one at once.`
