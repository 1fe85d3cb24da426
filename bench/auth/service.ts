import { defineService, kit } from '@parley/runtime'
import { z } from 'zod'

interface Tables {
  notes: { organizationId: string; id: string; text: string }
}

export const noteId = '01900000-0000-7000-8000-000000000001'
const { route } = kit<object, Tables>()

const readNote = (scope: 'public' | 'messages:read') =>
  route({
    method: 'GET',
    path: `/v1/${scope === 'public' ? 'public' : 'own'}-note`,
    summary: 'One row.',
    scope,
    // All load comes from one address.
    perMinute: 100_000_000,
    reply: z.object({ text: z.string() }),
    run: ({ caller, read }) =>
      read((tx) =>
        tx
          .selectFrom('notes')
          .select('text')
          .where('organizationId', '=', caller.organizationId)
          .where('id', '=', noteId)
          .executeTakeFirstOrThrow(),
      ),
  })

/** The same read of one row, for anybody and for callers who say who they are. */
export const authService = defineService<object, Tables, object>({
  name: 'auth-bench',
  summary: 'One row to read, for the benchmark.',
  config: z.object({}),
  routes: [readNote('public'), readNote('messages:read')],
  migrations: [
    {
      name: '001-notes',
      up: 'create table notes (organization_id uuid not null, id uuid not null, text text not null, primary key (organization_id, id));',
    },
  ],
  open: async () => ({}),
})
