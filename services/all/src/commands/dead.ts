import { type Command, Option } from 'commander'
import { z } from 'zod'
import { type Api, findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { failure } from '../failure.ts'
import { homeOf } from '../home.ts'
import { allServices } from '../services.ts'
import { DeadLetter } from '../trace/collect.ts'
import { dataOption, jsonOption, wholeNumber } from './options.ts'
import { table } from './table.ts'

interface Common {
  service?: string
  json?: true
  data?: string
}
const states = ['dead', 'held', 'retrying', 'waiting', 'redriven', 'dropped', 'recovered']
const Page = z.object({ items: z.array(DeadLetter), total: z.number() })
const Whole = DeadLetter.extend({ payload: z.unknown() })

export function addDead(parley: Command, context: Context): void {
  const dead = parley
    .command('dead')
    .description('What a service could not handle: events and jobs that were given up, or are tried again.')
  const serviceOption = () => new Option('--service <name>', 'of one service only').choices(allServices.map(({ name }) => name))
  const api = (options: Common) => findApi(homeOf(options.data, context.environment), context.environment)
  const names = (options: Common) => (options.service === undefined ? allServices.map(({ name }) => name) : [options.service])

  dead
    .command('list')
    .description('Dead letters of every service, latest first.')
    .addOption(new Option('--state <state>', 'in which state').choices(states).default('dead'))
    .addOption(serviceOption())
    .option('--limit <n>', 'how many of each service', wholeNumber(1, 100), 25)
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Common & { state: string; limit: number }) => {
      const door = api(options)
      const pages = await Promise.all(
        names(options).map((name) =>
          door.get(`/v1/ops/${name}/dead-letters?state=${options.state}&limit=${options.limit}`, Page),
        ),
      )
      const items = pages.flatMap((page) => page.items).toSorted((a, b) => b.lastAt.localeCompare(a.lastAt))
      const total = pages.reduce((sum, page) => sum + page.total, 0)
      if (options.json) return context.out(JSON.stringify({ items, total }, null, 2))
      if (total === 0) return context.out(options.state === 'dead' ? 'Nothing was given up.' : `Nothing is ${options.state}.`)
      const rows = items.map((item) => [
        item.id,
        item.service,
        item.handler,
        item.type,
        item.lastAt,
        String(item.attempts),
        (item.error ?? '').split('\n')[0]?.slice(0, 80) ?? '',
      ])
      for (const line of table(['id', 'service', 'handler', 'of', 'last try', 'tries', 'error'], rows)) context.out(line)
      context.out(`${items.length} of ${total}`)
    })

  dead
    .command('show')
    .description('One dead letter with its payload and error.')
    .argument('<id>')
    .addOption(serviceOption())
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (id: string, options: Common) => {
      const letter = await findLetter(api(options), names(options), id)
      if (options.json) return context.out(JSON.stringify(letter, null, 2))
      const { payload, ...facts } = letter
      for (const [name, value] of Object.entries(facts)) context.out(`${name.padEnd(14)} ${String(value ?? '-')}`)
      context.out(JSON.stringify(payload, null, 2))
    })

  for (const [action, description, done] of [
    ['redrive', 'Try a dead letter once more, now.', 'is tried again'],
    ['drop', 'Give a dead letter up for good; it stays listed as dropped.', 'is dropped'],
  ] as const) {
    dead
      .command(action)
      .description(description)
      .argument('<id>')
      .addOption(serviceOption())
      .option(...jsonOption)
      .option(...dataOption)
      .action(async (id: string, options: Common) => {
        const door = api(options)
        const letter = await findLetter(door, names(options), id)
        const after = await door.post(`/v1/ops/${letter.service}/dead-letters/${letter.id}/${action}`, undefined, DeadLetter)
        if (options.json) return context.out(JSON.stringify(after, null, 2))
        context.out(
          `${after.type} of ${after.service}/${after.handler} ${done}${after.correlationId === null ? '' : `; \`parley why ${after.eventId}\` shows its chain`}.`,
        )
      })
  }
}

/** Ids are unique over all services, so nobody has to say whose it is. */
async function findLetter(api: Api, services: readonly string[], id: string): Promise<z.infer<typeof Whole>> {
  if (!z.uuid().safeParse(id).success) throw failure(`'${id}' is not the id of a dead letter; \`parley dead list\` shows them.`)
  for (const service of services) {
    const letter = await api.find(`/v1/ops/${service}/dead-letters/${id}`, Whole)
    if (letter) return letter
  }
  throw failure(`No service has a dead letter ${id}; \`parley dead list\` shows them.`)
}
