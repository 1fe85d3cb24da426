import { changeAudited, type DataOf, readAudited } from '@parley/contracts'
import { createKey, type ReadFn } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { sha256 } from '../src/audit-digest.ts'
import type { DB } from '../src/db/types.ts'
import { genesis, type Head, linkHash, type SealedEntry } from '../src/rules/audit-chain.ts'
import { accounts } from '../src/service.ts'
import { verifyAudit } from '../src/steps/verify-audit.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [accounts], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

type Change = DataOf<typeof changeAudited>
const minute = (number: number) => `2026-03-01T10:${String(number).padStart(2, '0')}:00.000Z`
const changed = (number: number, more: Partial<Change> = {}): Change => ({
  requestId: `r-${number}`,
  actor: { kind: 'member', id: number % 2 === 0 ? 'anna' : 'bert' },
  ip: '203.0.113.7',
  userAgent: 'test',
  at: minute(number),
  action: 'PATCH /v1/members/:id',
  resourceType: 'member',
  resourceId: `member-${number}`,
  before: { role: 'viewer' },
  after: { role: 'admin' },
  reason: null,
  ...more,
})

/** A new organization with a log of so many changes, all of one thing: one key, so they are sealed in this order. */
async function openLog(count: number): Promise<string> {
  const organizationId = randomUUIDv7()
  for (let number = 1; number <= count; number++)
    await world.state('accounts', changeAudited, changed(number, { resourceId: 'one' }), { organizationId })
  await world.settle()
  return organizationId
}

// Operator keys are read at start, so the two organizations that have one are borrowed: each test looks only at what it wrote.
const list = (query: string, key?: string) => world.call('GET', `/v1/audit?${query}`, key === undefined ? {} : { key })

describe('the list', () => {
  beforeAll(async () => {
    for (let number = 1; number <= 9; number++) await world.state('accounts', changeAudited, changed(number))
    await world.state('accounts', readAudited, {
      requestId: 'r-read',
      actor: { kind: 'key', id: 'k-1' },
      ip: null,
      userAgent: null,
      at: minute(5),
      action: 'GET /v1/customers',
      resourceType: 'customer',
      resourceId: null,
      count: 25,
    })
    await world.state('accounts', changeAudited, changed(7, { resourceId: 'CANARY' }), {
      organizationId: world.otherOrganizationId,
    })
    await world.settle()
  })
  const ids = (body: { items: { resourceId: string }[] }) => body.items.map((item) => item.resourceId)
  const day = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z'

  test('is filtered by who, what, which, when and of which kind, the latest first', async () => {
    const all = await list(day)
    expect(all.status).toBe(200)
    // Of the same moment, the one that was told later comes first.
    const names = [9, 8, 7, 6, 5, 4, 3, 2, 1].map((number) => `member-${number}`)
    expect(ids(all.body)).toEqual([...names.slice(0, 4), null, ...names.slice(4)])
    expect(all.body.items[0]).toMatchObject({
      kind: 'change',
      actor: { kind: 'member', id: 'bert' },
      before: { role: 'viewer' },
      after: { role: 'admin' },
      ip: '203.0.113.7',
      sequence: expect.any(Number),
    })
    expect((await list(`${day}&kind=read`)).body.items).toMatchObject([
      { kind: 'read', count: 25, resourceType: 'customer', sequence: null },
    ])
    expect(ids((await list(`${day}&kind=change&actor=anna`)).body)).toEqual(['member-8', 'member-6', 'member-4', 'member-2'])
    expect(ids((await list(`${day}&resourceType=member&resourceId=member-3`)).body)).toEqual(['member-3'])
    expect(ids((await list(`${day}&action=GET /v1/customers`)).body)).toEqual([null])
    expect(ids((await list(`kind=change&from=${minute(3)}&to=${minute(5)}`)).body)).toEqual(['member-4', 'member-3'])
  })

  test('goes on page by page without a gap or a double', async () => {
    const seen: string[] = []
    let cursor = ''
    for (let pages = 0; pages < 10; pages++) {
      const { body } = await list(`${day}&limit=3${cursor}`)
      seen.push(...body.items.map((item: { id: string }) => item.id))
      if (body.next === null) break
      cursor = `&cursor=${encodeURIComponent(body.next)}`
    }
    expect(seen).toHaveLength(10)
    expect(new Set(seen).size).toBe(10)
  })

  test('takes no cursor that this organization was not given, and no list without an end', async () => {
    const { body } = await list(`${day}&limit=1`)
    const cursor: string = body.next
    const [payload = '', mac = ''] = cursor.split('.')
    const forged = [
      cursor.replace(/^./, '9'),
      `${payload}.${'A'.repeat(22)}`,
      payload,
      `${cursor}x`,
      `${payload}.${mac.toLowerCase()}A`,
      "1' or 1=1",
    ]
    expect((await list(`limit=1&cursor=${encodeURIComponent(cursor)}`)).status).toBe(200)
    for (const text of forged) expect((await list(`cursor=${encodeURIComponent(text)}`)).status, text).toBe(400)
    // A27: another organization's, untouched.
    expect((await list(`cursor=${encodeURIComponent(cursor)}`, world.otherKey)).status).toBe(400)
    for (const query of ['limit=1000000000', 'limit=-1', 'limit=0', 'order=asc', `from=${minute(5)}&to=${minute(5)}`, 'kind=all'])
      expect((await list(query)).status, query).toBe(400)
  })

  test('is of one organization', async () => {
    const mine = await list(`${day}&limit=100`)
    expect(JSON.stringify(mine.body)).not.toContain('CANARY')
    expect(ids((await list(day, world.otherKey)).body)).toEqual(['CANARY'])
  })

  test('is noted when it is read', async () => {
    await list(`${day}&limit=2`)
    await world.settle()
    const { body } = await list('kind=read&resourceType=audit_entry&limit=1')
    expect(body.items).toMatchObject([{ action: 'GET /v1/audit', count: 2, actor: { kind: 'operator' } }])
  })
})

describe('the export', () => {
  const download = (query: string, key = world.key) =>
    fetch(`${world.running.url}/v1/audit/export?${query}`, { headers: { authorization: `Bearer ${key}` } })

  test('is every entry, line by line, and an entry of its own', async () => {
    await world.sql(
      `insert into accounts.data_access select $1::uuid, gen_random_uuid(), 'r', 'key', 'bulk', null, null, now() - n * interval '1 ms', 'GET /v1/x', 'customer', null, 1
       from generate_series(1, 1234) n`,
      [world.organizationId],
    )
    const response = await download('kind=read&actor=bulk')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('application/x-ndjson')
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="audit-\d{4}-\d\d-\d\d\.ndjson"$/)
    const lines = (await response.text()).trimEnd().split('\n')
    expect(lines).toHaveLength(1_234)
    expect(new Set(lines.map((line) => JSON.parse(line).id)).size).toBe(1_234)
    await world.settle()
    const exports = async () => (await world.call('GET', '/v1/usage')).body.calls.exports as number
    const counted = await exports()
    expect(counted).toBeGreaterThan(0)
    await (await download('kind=read&actor=bulk')).text()
    await world.settle()
    expect(await exports()).toBe(counted + 1)
    await world.settle()
    const { body } = await list('action=GET /v1/audit/export&limit=1')
    expect(body.items).toMatchObject([
      { kind: 'change', resourceType: 'audit', after: { format: 'ndjson', rows: 1_234, actor: 'bulk' } },
    ])
  })

  test('as CSV runs nothing in a spreadsheet', async () => {
    const userAgent = '=HYPERLINK("http://evil.example","x")'
    await world.state('accounts', changeAudited, changed(30, { userAgent, resourceId: 'csv', reason: '+1' }))
    await world.settle()
    const response = await download('format=csv&resourceId=csv')
    expect(response.headers.get('content-type')).toContain('text/csv')
    const [head, line, ...more] = (await response.text()).split('\r\n')
    expect(head).toMatch(/^"id","kind","at",/)
    expect(line).toContain(`"'=HYPERLINK(""http://evil.example"",""x"")"`)
    expect(line).toContain(`"'+1"`)
    expect(more).toEqual([''])
  })

  test('is refused when it would be cut off, to who may not read the log, and with a filter that there is not', async () => {
    await world.sql(
      `insert into accounts.data_access select $1::uuid, gen_random_uuid(), 'r', 'key', 'flood', null, null, now(), 'GET /v1/x', 'customer', null, 1 from generate_series(1, 100001) n`,
      [world.organizationId],
    )
    expect((await download('actor=flood')).status).toBe(422)
    expect((await download('format=xml')).status).toBe(400)
    expect((await download('organizationId=x')).status).toBe(400)
    expect((await download('', createKey(world.organizationId, ['*']).key)).status).toBe(401)
  })
})

describe('verification', () => {
  const verify = (organizationId: string, start: Head = genesis) => {
    const service = world.running.services.find(({ name }) => name === 'accounts')
    if (!service) throw new Error('accounts does not run.')
    const read: ReadFn<DB> = (work) => service.database.read(organizationId, (tx) => work(tx as never))
    return verifyAudit(read, organizationId, start)
  }

  /** As the superuser, past grants and triggers: what somebody with the database in their hands can do. */
  const tamper = (text: string, values: unknown[]) =>
    world.sql(`do $do$ begin set local session_replication_role = replica; execute $q$${bound(text, values)}$q$; end $do$`)
  const bound = (text: string, values: unknown[]) =>
    text.replace(/\$(\d)/g, (_, n: string) => `'${String(values[Number(n) - 1])}'`)

  test('finds nothing wrong with an honest log, and says where it ends', async () => {
    const organizationId = await openLog(5)
    const result = await verify(organizationId)
    expect(result).toMatchObject({ ok: true, complete: true, checked: 5, broken: null, unsealed: 0, head: { sequence: 5 } })
    // The empty one too.
    expect(await verify(randomUUIDv7())).toMatchObject({ ok: true, complete: true, checked: 0, head: null })
  })

  test.each([
    [
      'edited',
      `update accounts.audit_entries set actor_id = 'carl' where organization_id = $1 and request_id = 'r-3'`,
      'edited',
      3,
    ],
    [
      'edited deep inside',
      `update accounts.audit_entries set after = '{"role":"viewer"}' where organization_id = $1 and request_id = 'r-3'`,
      'edited',
      3,
    ],
    [
      'dated back',
      `update accounts.audit_entries set at = at - interval '1 ms' where organization_id = $1 and request_id = 'r-2'`,
      'edited',
      2,
    ],
    ['deleted', `delete from accounts.audit_entries where organization_id = $1 and request_id = 'r-3'`, 'deleted', 3],
    [
      'deleted with its link',
      `with e as (delete from accounts.audit_entries where organization_id = $1 and request_id = 'r-3' returning entry_id)
       delete from accounts.audit_chain c using e where c.entry_id = e.entry_id`,
      'deleted',
      3,
    ],
    [
      'moved',
      `update accounts.audit_chain c set entry_id = o.entry_id from accounts.audit_chain o
       where c.organization_id = $1 and o.organization_id = $1 and (c.sequence, o.sequence) in ((2, 4), (4, 2))`,
      'reordered',
      2,
    ],
    ['cut off', `delete from accounts.audit_chain where organization_id = $1 and sequence > 3`, 'truncated', 4],
    [
      'cut off with its head',
      `with c as (delete from accounts.audit_chain where organization_id = $1 and sequence > 3),
         h as (select hash from accounts.audit_chain where organization_id = $1 and sequence = 3)
       update accounts.audit_heads set sequence = 3, hash = h.hash from h where organization_id = $1`,
      'unlinked',
      3,
    ],
  ])('finds an entry that was %s', async (_what, statement, kind, sequence) => {
    const organizationId = await openLog(5)
    // Two links may not name one entry even for a moment: the constraint has to go for the swap.
    if (kind === 'reordered')
      await world.sql('alter table accounts.audit_chain drop constraint if exists audit_chain_organization_id_entry_id_key')
    await tamper(statement, [organizationId])
    const result = await verify(organizationId)
    expect(result).toMatchObject({ ok: false, complete: true, broken: { kind, sequence } })
  })

  test('finds an entry that was put in with a hash made for it, and a history written anew by who noted the head', async () => {
    const organizationId = await openLog(5)
    const noted = (await verify(organizationId)).head
    const links = await world.sql<{ sequence: string; entry_id: string; previous_hash: string; hash: string; sealed_at: Date }>(
      'select * from accounts.audit_chain where organization_id = $1 order by sequence',
      [organizationId],
    )
    const entries = await world.sql<Record<string, never> & { entry_id: string }>(
      'select * from accounts.audit_entries where organization_id = $1',
      [organizationId],
    )
    // Everything is rewritten as an honest run would have: entry 3 edited, every link behind it computed anew, the head with it.
    await tamper(`update accounts.audit_entries set reason = 'forged' where organization_id = $1 and request_id = 'r-3'`, [
      organizationId,
    ])
    let previousHash = links[1]?.hash as string
    for (const link of links.slice(2)) {
      const row = entries.find((entry) => entry.entry_id === link.entry_id) as Record<string, unknown>
      const entry = camelEntry(row, link.sequence === '3' ? 'forged' : null)
      const next = {
        sequence: Number(link.sequence),
        entryId: link.entry_id,
        previousHash,
        sealedAt: link.sealed_at.toISOString(),
      }
      const hash = linkHash(sha256, organizationId, next, entry)
      await tamper(`update accounts.audit_chain set previous_hash = $1, hash = $2 where organization_id = $3 and sequence = $4`, [
        previousHash,
        hash,
        organizationId,
        link.sequence,
      ])
      if (link.sequence === '3') expect(await verify(organizationId)).toMatchObject({ broken: { kind: 'inserted', sequence: 4 } })
      previousHash = hash
    }
    expect(await verify(organizationId)).toMatchObject({ broken: { kind: 'rewritten', sequence: 5 } })
    await tamper(`update accounts.audit_heads set hash = $1 where organization_id = $2`, [previousHash, organizationId])
    // Nothing inside the database gives it away any more: what was noted outside does.
    expect(await verify(organizationId)).toMatchObject({ ok: true })
    expect(await verify(organizationId, noted ?? genesis)).toMatchObject({
      ok: false,
      broken: { kind: 'rewritten', sequence: 5 },
    })
  })

  test('is a call for who may read the log, which goes on where the last answer ended', async () => {
    const { status, body } = await world.call('GET', '/v1/audit/verify')
    expect(status).toBe(200)
    expect(body).toMatchObject({ ok: true, complete: true, broken: null })
    const { sequence, hash } = body.head
    expect((await world.call('GET', `/v1/audit/verify?after=${sequence}&hash=${hash}`)).body).toMatchObject({ ok: true })
    expect((await world.call('GET', `/v1/audit/verify?after=${sequence}&hash=${'0'.repeat(64)}`)).body).toMatchObject({
      ok: false,
      broken: { kind: 'rewritten', sequence },
    })
    expect((await world.call('GET', `/v1/audit/verify?after=${sequence + 1_000}&hash=${hash}`)).body).toMatchObject({
      ok: false,
      broken: { kind: 'truncated' },
    })
    expect((await world.call('GET', '/v1/audit/verify?after=3')).status).toBe(400)
    expect((await world.call('GET', '/v1/audit/verify', { key: null })).status).toBe(401)
  })
})

function camelEntry(row: Record<string, unknown>, reason: string | null): SealedEntry {
  const text = (name: string) => row[name] as string
  return {
    entryId: text('entry_id'),
    requestId: text('request_id'),
    actorKind: text('actor_kind'),
    actorId: text('actor_id'),
    ip: text('ip'),
    userAgent: text('user_agent'),
    at: (row['at'] as Date).toISOString(),
    action: text('action'),
    resourceType: text('resource_type'),
    resourceId: text('resource_id'),
    before: row['before'],
    after: row['after'],
    reason,
  }
}
