import { connect } from '@nats-io/transport-node'
import { subjectOf } from '@parley/contracts'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { defineService, kit, Permanent, RetryLater, type SharedWork } from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { counterBumped, counter } from './shop.ts'

interface BookApp {
  /** What a test waits for before an event is handled. */
  gate: Promise<void>
  /** How often a page has been torn: in the group, and with the event alone. */
  tears: number
}
interface BookTables {
  pages: { organizationId: string; notes: string[] }
}
const { on } = kit<BookApp, BookTables>()

/** Writes one page for all notes of a commit. */
const writePage: SharedWork<BookApp, BookTables, string> = async ({ app, tx, organizationId }, notes) => {
  if (notes.includes('torn twice') && app.tears < 2) {
    app.tears++
    throw new RetryLater('This page tore.', { afterMs: 10 })
  }
  if (notes.includes('torn')) throw new Permanent('This page tears.')
  await sql`insert into pages (organization_id, notes) values (${organizationId}, ${[...notes]}::text[])`.execute(tx)
}

const keepBook = on('keep-book', counterBumped, async ({ event, app, together }) => {
  await app.gate
  together(writePage, event.data.note)
})

const bookSpec: Parameters<typeof defineService<BookApp, BookTables, Record<string, never>>>[0] = {
  name: 'book',
  summary: 'Keeps a book, for tests.',
  config: z.object({}),
  handlers: [keepBook],
  migrations: [
    {
      name: '001-pages',
      up: `create table pages (organization_id uuid not null, place bigint generated always as identity, notes text[] not null, primary key (organization_id, place));`,
    },
  ],
  async open() {
    return { gate: Promise.resolve(), tears: 0 }
  },
}
const book = defineService(bookSpec)

/** The same, of one who has time. */
const annals = defineService<BookApp, BookTables, Record<string, never>>({ ...bookSpec, name: 'annals', gatherMs: 1_500 })

let world: World
beforeEach(async () => {
  world = await startWorld({ services: [counter, book, annals], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterEach(async () => {
  await world?.stop()
})

const pages = async () =>
  (await world.sql<{ notes: string[] }>('select notes from book.pages order by place')).map((row) => row.notes)

/**
 * Has `first` handled alone and, while its transaction stands open, brings the others: they are one group afterwards. They go straight
 * to the broker, because the relay publishes nothing past an open transaction; it brings them again later, which changes nothing.
 */
async function handleInOneGroup(notes: { counter: string; note: string; times?: number }[]): Promise<void> {
  const app = world.running.services.find((entry) => entry.name === 'book')?.app as BookApp
  const { promise, resolve } = Promise.withResolvers<void>()
  app.gate = promise
  await world.state('counter', counterBumped, { counter: 'c', note: 'first' })
  const open = `select 1 from pg_stat_activity where datname = current_database() and application_name = 'parley-book' and state = 'idle in transaction'`
  await expect.poll(() => world.sql(open)).toHaveLength(1)
  try {
    for (const { times = 1, ...data } of notes) {
      await world.state('counter', counterBumped, data)
      const [row] = await world.sql<{ envelope: string }>(
        'select envelope::text as envelope from counter.outbox order by seq desc limit 1',
      )
      for (let i = 0; i < times; i++) await bring(data.counter, row?.envelope as string)
    }
  } finally {
    resolve()
  }
  await world.settle()
}

async function bring(key: string, envelope: string): Promise<void> {
  const nc = await connect({ servers: world.environment['NATS_URL'] as string })
  try {
    const subject = subjectOf(world.environment['BUS_ROOT'] as string, 'counter.bumped', world.organizationId, key)
    await nc.request(subject, envelope, { timeout: 5_000 })
  } finally {
    await nc.close()
  }
}

describe('work that events share', () => {
  test('is done once for all of a commit, in their order', async () => {
    await handleInOneGroup(['a', 'b', 'c'].map((note) => ({ counter: 'c', note })))
    expect(await pages()).toEqual([['first'], ['a', 'b', 'c']])
  })

  test('that fails is done again for each event alone, and only the one to blame is put aside', async () => {
    await handleInOneGroup(['a', 'torn', 'c'].map((note) => ({ counter: note, note })))
    expect((await pages()).flat().sort()).toEqual(['a', 'c', 'first'])
    const aside = await world.sql<{ key: string; error: string }>('select distinct key, error from book.dead_letters')
    expect(aside).toMatchObject([{ key: 'torn', error: expect.stringContaining('This page tears.') }])
  })

  test('is done when an event that was put aside is tried again', async () => {
    await world.state('counter', counterBumped, { counter: 'c', note: 'torn twice' })
    await world.settle()
    expect(await pages()).toEqual([['torn twice']])
    expect(await world.sql('select state from book.dead_letters')).toEqual([{ state: 'recovered' }])
  })

  test('has an event once that the stream brings twice in one group', async () => {
    await handleInOneGroup([{ counter: 'c', note: 'twice', times: 2 }])
    expect(await pages()).toEqual([['first'], ['twice']])
  })
})

describe('a service that lets events wait for each other', () => {
  test('handles in one commit what comes within that time, from all lanes', async () => {
    for (const note of ['a', 'b', 'c', 'd', 'e']) await world.state('counter', counterBumped, { counter: note, note })
    await world.settle()
    const [page, ...more] = await world.sql<{ notes: string[] }>('select notes from annals.pages')
    expect(page?.notes.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(more).toEqual([])
  })

  test('loses nothing of what is more than one group holds', async () => {
    for (let i = 0; i < 200; i++) await world.state('counter', counterBumped, { counter: `c${i}`, note: `${i}` })
    await world.settle()
    const pages = await world.sql<{ notes: string[] }>('select notes from annals.pages')
    expect(pages.flatMap((page) => page.notes).toSorted()).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`).toSorted())
    expect(Math.max(...pages.map((page) => page.notes.length))).toBeLessThanOrEqual(64)
  })
})
