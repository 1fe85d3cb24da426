import { allServices } from '@parley/all'
import { openDatabase, openLog, type Caller } from '@parley/runtime'
import { serveWorker } from '../lib/worker.ts'
import type { Read, Reading } from './reads.ts'
import { organizationOf, rowOf, type Shape } from './rows.ts'

interface ReaderSettings extends Shape {
  url: string
  connections: number
}

const paths: Record<Read, string> = {
  conversations: '/v1/conversations',
  messages: '/v1/conversations/:id/messages',
  customer: '/v1/customers/:id',
}
const query = { limit: 25, page: 1, order: 'desc' }

/** The routes of inbox as they are, without HTTP around them: their SQL, in the runtime's own transaction for reading. */
function routeOf(read: Read) {
  const routes = allServices.find(({ name }) => name === 'inbox')?.routes
  const route = routes?.find(({ method, path }) => method === 'GET' && path === paths[read])
  if (!route) throw new Error(`inbox has no GET ${paths[read]} any more.`)
  return route
}

serveWorker<ReaderSettings>(async ({ url, connections, organizations, people, messages, messagesEach }) => {
  const log = openLog({ name: 'rls', level: 'warn' })
  const database = openDatabase<never>({ url, schema: 'inbox', applicationName: 'bench-rls', maxConnections: connections, log })
  const routes = { conversations: routeOf('conversations'), messages: routeOf('messages'), customer: routeOf('customer') }
  const spoken = Math.floor(messages / messagesEach)

  async function one(read: Read, next: (below: number) => number): Promise<void> {
    const organization = 1 + next(organizations)
    const organizationId = organizationOf(organization)
    const id = rowOf(organization, 1 + next(read === 'messages' ? spoken : people))
    const answer = await routes[read].run({
      params: { id },
      query,
      caller: { organizationId } as Caller,
      read: (work: (tx: never) => Promise<unknown>) => database.read(organizationId, ({ tx }) => work(tx as never)),
    } as never)
    const { items, total } = answer as { items?: unknown[]; total?: number }
    const wanted = { conversations: people, messages: messagesEach, customer: undefined }[read]
    if (total !== wanted || (items && items.length !== query.limit))
      throw new Error(`${read}: ${total} of ${wanted} rows were found.`)
  }

  return {
    calls: {
      /** Whether one organization is shown another one's row. */
      seesOthers: () =>
        database.read(organizationOf(1), async (session) => {
          const found = await session.query('select 1 from customers where organization_id = $1 limit 1', [organizationOf(2)])
          return found.length > 0
        }),
      async run({ read, seconds, seed }: Reading): Promise<{ count: number; perSecond: number }> {
        const started = performance.now()
        const until = started + seconds * 1000
        let count = 0
        const lane = async (number: number) => {
          let state = (seed * 1_000 + number) >>> 0
          const next = (below: number) => {
            state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
            return Math.floor((state / 4_294_967_296) * below)
          }
          while (performance.now() < until) {
            await one(read, next)
            count++
          }
        }
        await Promise.all(Array.from({ length: connections }, (_, number) => lane(number)))
        return { count, perSecond: count / ((performance.now() - started) / 1000) }
      },
    },
    close: () => database.close(),
  }
})
