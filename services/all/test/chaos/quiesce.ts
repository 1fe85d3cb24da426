import { jobSchemaOf, schemaOf } from '@parley/runtime'
import { setTimeout as wait } from 'node:timers/promises'
import { allServices } from '../../src/services.ts'
import type { World } from './world.ts'

/** Every event of every service that a handler should have taken and has not: the plainest meaning of "lost". */
export const unhandledSql = `
  select s.source, s.type, h.service, h.handler, count(*)::int as events, min(s.id::text) as example
  from (${allServices.map(({ name }) => `select '${name}' as source, id, type from ${schemaOf(name)}.outbox`).join(' union all ')}) s
  join (values ${allServices
    .flatMap(({ name, handlers }) => handlers.map((handler) => `('${name}', '${handler.name}', '${handler.event.type}')`))
    .join(', ')}) h (service, handler, type) on h.type = s.type
  left join (${allServices
    .map(({ name }) => `select '${name}' as service, event_id, handler from ${schemaOf(name)}.handled`)
    .join(' union all ')}) d on d.event_id = s.id and d.service = h.service and d.handler = h.handler
  left join (${allServices
    .map(
      ({ name }) =>
        `select '${name}' as service, event_id, handler from ${schemaOf(name)}.dead_letters where state in ('dead', 'dropped')`,
    )
    .join(' union all ')}) x on x.event_id = s.id::text and x.service = h.service and x.handler = h.handler
  where d.event_id is null and x.event_id is null
  group by 1, 2, 3, 4`

const countsSql = allServices
  .map(({ name }) => {
    const schema = schemaOf(name)
    return `
    select '${name} outbox' as part, (select count(*) from ${schema}.outbox o, ${schema}.relay_cursor c where (o.xid, o.seq) > (c.xid, c.seq))::int as busy
    union all select '${name} jobs', (select count(*) from ${jobSchemaOf(name)}.job_common where state in ('retry', 'active') or (state = 'created' and start_after < now() + interval '10 seconds'))::int
    union all select '${name} put-aside', (select count(*) from ${schema}.dead_letters where state in ('retrying', 'waiting'))::int`
  })
  .join(' union all ')

/** What is still under way, in words; empty when nothing is. */
export async function busyParts(world: World): Promise<string[]> {
  const counts = await world.sql<{ part: string; busy: number }>(countsSql)
  const unhandled = await world.sql<{
    source: string
    type: string
    service: string
    handler: string
    events: number
    example: string
  }>(unhandledSql)
  return [
    ...counts.filter(({ busy }) => busy > 0).map(({ part, busy }) => `${part}: ${busy}`),
    ...unhandled.map(
      (row) => `${row.events} ${row.type} of ${row.source} not taken by ${row.service}/${row.handler} (${row.example})`,
    ),
  ]
}

/** Waits until nothing is under way any more. Gives what still is at the deadline: then something is stuck or lost. */
export async function quiesce(world: World, deadlineMs: number): Promise<string[]> {
  const deadline = performance.now() + deadlineMs
  for (let calm = 0; ; ) {
    const busy = await busyParts(world)
    const unacknowledged = await Promise.all(world.phones.map((phone) => phone.acknowledged(100))).then(
      () => [],
      (error: Error) => [error.message],
    )
    const parts = [...busy, ...unacknowledged]
    calm = parts.length === 0 ? calm + 1 : 0
    if (calm === 2) return []
    if (performance.now() > deadline) return parts
    await wait(200)
  }
}
