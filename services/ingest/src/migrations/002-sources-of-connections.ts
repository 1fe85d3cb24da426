import type { Migration } from '@parley/runtime'

export const sourcesOfConnections: Migration = {
  name: '002-sources-of-connections',
  up: `
    -- The connection that a source was opened for, which alone may change it; null: somebody opened it here.
    alter table webhook_sources add column connection_id uuid, add column connection_revision integer,
      add check ((connection_id is null) = (connection_revision is null));
  `,
}
