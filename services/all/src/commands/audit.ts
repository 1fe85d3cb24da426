import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { type Api, findApi } from '../api.ts'
import type { Context } from '../cli.ts'
import { homeOf } from '../home.ts'
import { dataOption, jsonOption } from './options.ts'

const Place = z.object({ sequence: z.number(), hash: z.string() })
const Broken = z.object({ kind: z.string(), sequence: z.number(), entryId: z.string().nullable() })
const Verification = z.object({
  ok: z.boolean(),
  complete: z.boolean(),
  checked: z.number(),
  head: Place.extend({ sealedAt: z.string() }).nullable(),
  next: z.object({ after: z.number(), hash: z.string() }).nullable(),
  broken: Broken.nullable(),
  unsealed: z.number(),
  unsealedSince: z.string().nullable(),
})
type Verification = z.infer<typeof Verification>

const meanings: Record<string, string> = {
  edited: 'is not what was sealed',
  deleted: 'is gone',
  reordered: 'stands where it was not sealed',
  inserted: 'does not follow the link before it: something was put in or replaced before it',
  truncated: 'is missing: the chain was cut off before it',
  rewritten: 'has another hash than the one noted: the chain was written anew, up to there',
  unlinked: 'is followed by an entry that has no link and waits for none',
}

/** `120:9f86d0…`: a head that somebody noted down. */
function readPlace(text: string): z.infer<typeof Place> {
  const [, sequence, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (sequence === undefined || hash === undefined || sequence === '0')
    throw new InvalidArgumentError('It must be a head as `parley audit verify` prints it: 120:9f86d0….')
  return { sequence: Number(sequence), hash }
}

export function addAudit(parley: Command, context: Context): void {
  parley
    .command('audit')
    .description('The log of what was changed, and by whom.')
    .command('verify')
    .description('Compute the chain anew and name the first entry that was edited, deleted, moved, put in or cut off.')
    .option('--head <sequence:hash>', 'a head printed before: proves that nothing up to it was written anew', readPlace)
    .option(...jsonOption)
    .option(...dataOption)
    .addHelpText(
      'after',
      '\nNote the head down outside of this system: whoever can rewrite the whole database can rewrite the chain as well,\nbut not your note. Every sealing also writes it to the log of accounts.',
    )
    .action(async (options: { head?: z.infer<typeof Place>; json?: true; data?: string }) => {
      const api = findApi(homeOf(options.data, context.environment), context.environment)
      const { checked, last } = await verifyAll(api, options.head)
      if (!last.ok) context.outcome.exitCode = 1
      if (options.json) return context.out(JSON.stringify({ ...last, checked }, null, 2))
      for (const line of told(checked, last)) context.out(line)
    })
}

/** Page by page from the beginning; a noted head is held against the chain first. */
async function verifyAll(api: Api, head: z.infer<typeof Place> | undefined): Promise<{ checked: number; last: Verification }> {
  const ask = (query: string) => api.get(`/v1/audit/verify${query}`, Verification)
  if (head) {
    const noted = await ask(`?after=${head.sequence}&hash=${head.hash}`)
    if (!noted.ok) return { checked: 0, last: noted }
  }
  let last = await ask('')
  let { checked } = last
  while (last.next) {
    last = await ask(`?after=${last.next.after}&hash=${last.next.hash}`)
    checked += last.checked
  }
  return { checked, last }
}

function told(checked: number, { head, broken, unsealed, unsealedSince }: Verification): string[] {
  const waiting = unsealed === 0 ? [] : [`${unsealed} changes wait to be sealed, the first since ${unsealedSince}.`]
  if (broken) {
    const entry = broken.entryId === null ? '' : ` (entry ${broken.entryId})`
    return [
      `BROKEN at ${broken.sequence}${entry}: it ${meanings[broken.kind] ?? broken.kind}.`,
      `${checked} links before it hold.`,
    ]
  }
  if (!head) return ['Nothing was changed yet.', ...waiting]
  return [`${checked} links hold.`, `head ${head.sequence}:${head.hash}`, ...waiting]
}
