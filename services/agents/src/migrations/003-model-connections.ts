import type { Migration } from '@parley/runtime'

export const modelConnections: Migration = {
  name: '003-model-connections',
  up: `
-- What accounts last said of an organization's own model accounts. Kept as it came, sealed, so that turns are taken while accounts is
-- away. The row of a removed one stays, without its credentials: an older word that comes again must not bring it back.
create table model_connections (
  organization_id uuid not null,
  connection_id uuid not null,
  status text not null,
  revision integer not null,
  -- Null: the operator's default, as with the prices.
  base_url text,
  model text,
  prompt_price_micros bigint check (prompt_price_micros >= 0),
  completion_price_micros bigint check (completion_price_micros >= 0),
  key_version integer,
  wrapped_key text,
  sealed text,
  primary key (organization_id, connection_id),
  check ((sealed is null) = (wrapped_key is null) and (sealed is null) = (key_version is null))
);
`,
}
