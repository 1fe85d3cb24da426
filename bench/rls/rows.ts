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

/** Fills the tables of inbox as the superuser, past row-level security; gives the seconds it took. Their references are right by construction. */
export async function fillRows(adminUrl: string, shape: Shape): Promise<number> {
  const started = performance.now()
  const chunks = Array.from({ length: Math.ceil(shape.organizations / chunk) }, (_, index) => index * chunk + 1)
  await Promise.all(
    Array.from({ length: clients }, () =>
      asAdmin(adminUrl, async (admin) => {
        for (let from = chunks.shift(); from !== undefined; from = chunks.shift()) await fillChunk(admin, shape, from)
      }),
    ),
  )
  // As autovacuum leaves them in the end: statistics, and pages that are known to be visible to all.
  await asAdmin(adminUrl, (admin) => admin.query('vacuum (analyze) customers, customer_identities, conversations, messages'))
  return (performance.now() - started) / 1000
}

async function asAdmin(adminUrl: string, work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    await admin.query(`set search_path = inbox; set session_replication_role = replica; set synchronous_commit = off`)
    await work(admin)
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
