import { changeAudited, type DataOf } from '@parley/contracts'
import { type CommitFn, openLog, roleOf } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { insertChange } from '../src/db/audit.ts'
import type { DB } from '../src/db/types.ts'
import { sealAudit } from '../src/jobs/seal-audit.ts'
import { accounts } from '../src/service.ts'
import { tellOfRead } from './told-read.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [accounts], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

const change = (resourceId: string, more: Partial<DataOf<typeof changeAudited>> = {}): DataOf<typeof changeAudited> => ({
  requestId: randomUUIDv7(),
  actor: { kind: 'member', id: 'anna' },
  ip: '203.0.113.7',
  userAgent: 'test',
  at: new Date().toISOString(),
  action: 'PATCH /v1/members/:id',
  resourceType: 'member',
  resourceId,
  before: { role: 'viewer' },
  after: { role: 'admin' },
  reason: null,
  ...more,
})

interface ChainRow {
  sequence: string
  entry_id: string
  previous_hash: string
  hash: string
}
const chain = (organizationId: string) =>
  world.sql<ChainRow>('select * from accounts.audit_chain where organization_id = $1 order by sequence', [organizationId])

async function stateChanges(organizationId: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) => world.state('accounts', changeAudited, change(`member-${i}`), { organizationId })),
  )
}

describe('the chain of an organization', () => {
  test('has every entry once, without a gap, when 200 come over many lanes and two sealings run at once', async () => {
    const organizationId = randomUUIDv7()
    const replica = await world.startReplica()
    await stateChanges(organizationId, 200)
    await world.settle()
    // The second replica may hold the lanes of the last ones.
    await vi.waitUntil(async () => (await chain(organizationId)).length === 200, { timeout: 10_000 })
    await replica.stop()
    const links = await chain(organizationId)
    expect(links.map((link) => Number(link.sequence))).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    expect(new Set(links.map((link) => link.entry_id)).size).toBe(200)
    links.forEach((link, i) => expect(link.previous_hash).toBe(links[i - 1]?.hash ?? '0'.repeat(64)))
    const [head] = await world.sql('select sequence, hash from accounts.audit_heads where organization_id = $1', [organizationId])
    expect(head).toEqual({ sequence: '200', hash: links.at(-1)?.hash })
    expect(await world.sql('select 1 from accounts.audit_unsealed where organization_id = $1', [organizationId])).toEqual([])
    const lanes = await world.sql(
      `select distinct lane from accounts.outbox where organization_id = $1 and type = 'audit.change_recorded'`,
      [organizationId],
    )
    expect(lanes.length).toBeGreaterThanOrEqual(4)
  })

  test('is one chain also when four sealings run at once, which no lease prevents here', async () => {
    const organizationId = randomUUIDv7()
    const service = world.running.services.find(({ name }) => name === 'accounts')
    if (!service) throw new Error('accounts does not run.')
    const commit: CommitFn<DB> = (work) => service.database.commit({ organizationId }, (tx, tools) => work(tx as never, tools))
    // Kept without asking for the job: only the four below seal.
    for (let i = 0; i < 500; i++) await commit((tx) => insertChange(tx, organizationId, randomUUIDv7(), change(`member-${i}`)))
    const log = openLog({ name: 'test', level: 'silent' })
    const context = { organizationId, app: { now: () => new Date() }, commit, log, signal: AbortSignal.timeout(20_000) }
    await Promise.all([1, 2, 3, 4].map(() => sealAudit.run(context as never)))
    const links = await chain(organizationId)
    expect(links.map((link) => Number(link.sequence))).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
    links.forEach((link, i) => expect(link.previous_hash).toBe(links[i - 1]?.hash ?? '0'.repeat(64)))
  })

  test('takes a text that no column holds as it can', async () => {
    const organizationId = randomUUIDv7()
    const odd = { name: 'a\u0000b\ud800', nested: { list: [1e21, -0.5, null] } }
    await world.state('accounts', changeAudited, change('odd', { after: odd, reason: 'why\u0000' }), { organizationId })
    await world.settle()
    expect(await chain(organizationId)).toHaveLength(1)
    expect(
      await world.sql('select reason, after from accounts.audit_entries where organization_id = $1', [organizationId]),
    ).toEqual([{ reason: 'why\uFFFD', after: odd }])
  })
})

describe('a log that is only added to', () => {
  test.each(['audit_entries', 'audit_chain', 'data_access'])(
    '%s refuses update, delete and truncate to its own service',
    async (table) => {
      const organizationId = world.organizationId
      await stateChanges(organizationId, 1)
      await tellOfRead(world, randomUUIDv7())
      const client = new pg.Client({ connectionString: world.databaseUrl(roleOf('accounts')) })
      await client.connect()
      try {
        await client.query(`select set_config('app.organization_id', $1, false)`, [organizationId])
        const { rowCount } = await client.query(`select 1 from accounts.${table}`)
        expect(rowCount).toBeGreaterThan(0)
        for (const statement of [
          `update accounts.${table} set organization_id = organization_id`,
          `delete from accounts.${table}`,
          `truncate accounts.${table}`,
        ]) {
          await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
        }
      } finally {
        await client.end()
      }
    },
  )
})
