import pg from 'pg'

/** How much there is to read. */
export interface Shape {
  organizations: number
  /** Customers of each organization; each has one conversation. */
  people: number
  /** Messages of each organization. */
  messages: number
  /** A conversation that is read has so many messages; the others of its organization have none. */
  messagesEach: number
}

/** Ids that can be worked out: who reads needs no list of them. They ascend, as those of production do. */
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
export const organizationOf = (number: number) => `${hex(number, 8)}-0000-7000-8000-000000000000`
export const rowOf = (organization: number, row: number) => `${hex(organization, 8)}-0000-7000-8000-${hex(row, 12)}`

const organizationSql = `(lpad(to_hex(o), 8, '0') || '-0000-7000-8000-000000000000')::uuid`
const rowSql = (row: string) => `(lpad(to_hex(o), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(${row}), 12, '0'))::uuid`

/** Organizations that go into one statement, and how many statements are under way at once. */
const chunk = 50
const clients = 2
const tables = ['customers', 'customer_identities', 'conversations', 'messages']

/** Fills the tables of inbox as the superuser, past row-level security; gives the seconds it took. Their references are right by construction. */
export async function fillRows(adminUrl: string, shape: Shape): Promise<number> {
  const started = performance.now()
  const indexes = await asAdmin(adminUrl, dropIndexes)
  const starts = Array.from({ length: Math.ceil(shape.organizations / chunk) }, (_, index) => index * chunk + 1)
  await sideBySide(adminUrl, starts, (admin, from) => fillChunk(admin, shape, from))
  await sideBySide(adminUrl, indexes, (admin, definition) => admin.query(definition))
  // As autovacuum leaves them in the end: statistics, and pages that are known to be visible to all.
  await asAdmin(adminUrl, (admin) => admin.query(`vacuum (analyze) ${tables.join(', ')}`))
  return (performance.now() - started) / 1000
}

/**
 * Takes away the indexes that no constraint needs and gives what makes them again: one made over all rows at once is made in a
 * fraction of the time that it takes row by row. The primary keys stay, because rows come in their order.
 */
async function dropIndexes(admin: pg.Client): Promise<string[]> {
  const { rows } = await admin.query<{ name: string; definition: string }>(
    `select c.oid::regclass::text as name, pg_get_indexdef(c.oid) as definition
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = any($1::regclass[]) and not i.indisprimary
       and not exists (select from pg_constraint k where k.conindid = i.indexrelid)`,
    [tables],
  )
  if (rows.length === 0) throw new Error('No index was found: the tables are not what they were.')
  await admin.query(`drop index ${rows.map(({ name }) => name).join(', ')}`)
  return rows.map(({ definition }) => definition)
}

/** All of `pieces`, a few at once, each client with a connection of its own. */
async function sideBySide<Piece>(
  adminUrl: string,
  pieces: readonly Piece[],
  work: (admin: pg.Client, piece: Piece) => Promise<unknown>,
): Promise<void> {
  const left = [...pieces]
  await Promise.all(
    Array.from({ length: clients }, () =>
      asAdmin(adminUrl, async (admin) => {
        for (let piece = left.shift(); piece !== undefined; piece = left.shift()) await work(admin, piece)
      }),
    ),
  )
}

async function asAdmin<Result>(adminUrl: string, work: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    await admin.query(`set search_path = inbox; set session_replication_role = replica; set synchronous_commit = off;
      set maintenance_work_mem = '256MB'; set max_parallel_maintenance_workers = 0`)
    return await work(admin)
  } finally {
    await admin.end()
  }
}

async function fillChunk(
  admin: pg.Client,
  { organizations, people, messages, messagesEach }: Shape,
  from: number,
): Promise<void> {
  const source = (rows: number) =>
    `from generate_series(${from}, ${Math.min(from + chunk - 1, organizations)}) o, generate_series(1, ${rows}) r`
  await admin.query(`insert into customers (organization_id, id, kind, name, created_at)
    select ${organizationSql}, ${rowSql('r')}, 'person', 'Customer ' || r, now() - r * interval '1 minute' ${source(people)}`)
  await admin.query(`insert into customer_identities (organization_id, id, customer_id, channel, account_id, external_id, phone)
    select ${organizationSql}, ${rowSql('r')}, ${rowSql('r')}, 'whatsapp', 'PHONE-1', r || '@s.whatsapp.net', r::text ${source(people)}`)
  await admin.query(`insert into conversations (organization_id, id, customer_id, channel, account_id, chat_id, chat_kind, source,
      version, last_message_at, message_count, started_at)
    select ${organizationSql}, ${rowSql('r')}, ${rowSql('r')}, 'whatsapp', 'PHONE-1', r || '@s.whatsapp.net', 'person', 'organic',
      ${messagesEach}, now() - r * interval '1 minute', ${messagesEach}, now() - interval '2 days' ${source(people)}`)
  await admin.query(`insert into messages (organization_id, id, conversation_id, channel, account_id, version, sender, type, text, content,
      status, status_rank, provider_message_id, sent_at, added_at, ordered_at)
    select ${organizationSql}, ${rowSql('r')}, ${rowSql(`(r - 1) / ${messagesEach} + 1`)}, 'whatsapp', 'PHONE-1', (r - 1) % ${messagesEach} + 1,
      case when r % 2 = 0 then 'agent' else 'user' end, 'text', 'Where is my order ' || r || '? It should have come yesterday.',
      '{"type":"text","attachments":[],"location":null,"contacts":[],"choice":null,"order":null}', 'read', 5, o || '-' || r,
      now() - (${messages} - r) * interval '1 minute', now(), now() - (${messages} - r) * interval '1 minute' ${source(messages)}`)
}
