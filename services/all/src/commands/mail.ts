import type { Command } from 'commander'
import { z } from 'zod'
import { findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { failure } from '../failure.ts'
import { homeOf } from '../home.ts'
import { dataOption, jsonOption, wholeNumber } from './options.ts'

const Mail = z.object({
  mailId: z.string(),
  kind: z.string(),
  to: z.string(),
  subject: z.string(),
  text: z.string().nullable(),
  state: z.string(),
  createdAt: z.string(),
})
const Mails = z.object({ items: z.array(Mail) })

interface Options {
  to?: string
  limit: number
  token?: true
  json?: true
  data?: string
}

/** Mail of this machine: there is no mail server here, so its links are read with this. */
export function addMail(parley: Command, context: Context): void {
  parley
    .command('mail')
    .description('Mail that Parley wrote on this machine, latest first, with its links.')
    .option('--to <address>', 'to this address only')
    .option('--token', 'only the token of the latest mail, for a script')
    .option('--limit <n>', 'how many', wholeNumber(1, 100), 5)
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Options) => {
      const query = new URLSearchParams({ limit: String(options.limit) })
      if (options.to !== undefined) query.set('to', options.to)
      const api = findApi(homeOf(options.data, context.environment), context.environment)
      const { items } = await api.get(`/v1/dev/mail?${query}`, Mails)
      if (options.token) return context.out(tokenOf(items))
      if (options.json) return context.out(JSON.stringify(items, null, 2))
      if (items.length === 0) return context.out('No mail.')
      for (const mail of items) {
        context.out(`${mail.createdAt}  ${mail.kind}  ${mail.state}`)
        context.out(`To: ${mail.to}`)
        context.out(`Subject: ${mail.subject}`)
        context.out(`\n${mail.text ?? '(its text was wiped)'}\n`)
      }
    })
}

function tokenOf(items: z.infer<typeof Mails>['items']): string {
  for (const { text } of items) {
    const token = /#token=([\w-]+)/.exec(text ?? '')?.[1]
    if (token !== undefined) return token
  }
  throw failure('There is no mail with a token.')
}
