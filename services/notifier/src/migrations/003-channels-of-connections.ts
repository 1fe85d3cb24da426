import type { Migration } from '@parley/runtime'

export const channelsOfConnections: Migration = {
  name: '003-channels-of-connections',
  up: `
    -- How far each connection's story is known, also after its end: an older word that comes again must not bring it back.
    create table connections (
      organization_id uuid not null,
      connection_id uuid not null,
      account_id text not null,
      status text not null,
      revision integer not null,
      -- SHA-256 of the sealed credentials: sealed anew, they were given anew, also when they are the same. Null after the end.
      credentials_hash text,
      primary key (organization_id, connection_id)
    );

    -- The connection whose token a channel has; null: somebody set it here.
    alter table channels add column connection_id uuid;
    -- Null once its connection is gone. The row stays: its token_version must never be that of another token again.
    alter table channels alter column sealed_token drop not null,
      add check (sealed_token is not null or status = 'disabled');
  `,
}
