import type { Migration } from '@parley/runtime'

/**
 * Credentials are sealed under a data key of their organization, and the data key under the installation's (reliability.md D41). Of a
 * removed connection nothing that opens anything is kept, and neither is a data key with which nothing is sealed any more.
 *
 * `key_holders` is the installation's own list: under row-level security nobody sees the data keys of all organizations, and a change
 * of the installation's key must reach each of them. It names organizations and keys, and holds nothing of either.
 */
export const connections: Migration = {
  name: '004-connections',
  up: `
    create table encryption_keys (
      organization_id uuid not null,
      version integer not null check (version > 0),
      -- Null once it is retired: nothing is sealed with it any more.
      wrapped text,
      created_at timestamptz not null default now(),
      wrapped_at timestamptz not null default now(),
      retired_at timestamptz,
      primary key (organization_id, version),
      check ((wrapped is null) = (retired_at is not null))
    );
    create unique index encryption_keys_current on encryption_keys (organization_id) where retired_at is null;

    create table key_holders (
      holder uuid primary key,
      -- Id of the installation's key that wraps the holder's data key.
      wrapped_by text not null
    );
    create index key_holders_wrapped_by on key_holders (wrapped_by, holder);

    create table connections (
      organization_id uuid not null,
      connection_id uuid not null,
      provider text not null,
      integration_type text not null,
      provider_version text,
      display_name text not null,
      -- The account at the provider; null where there is none.
      account_id text,
      settings jsonb not null,
      -- Null once it is removed.
      sealed_credentials text,
      key_version integer,
      -- By field, with at most the last four characters: what may be shown of the credentials.
      credential_hints jsonb not null,
      credentials_changed_at timestamptz not null,
      capabilities text[] not null,
      status text not null check (status in ('pending', 'active', 'inactive', 'error', 'removed')),
      status_reason text,
      -- Failures in a row.
      error_count integer not null default 0,
      last_error text,
      last_error_at timestamptz,
      last_sync_at timestamptz,
      last_tested_at timestamptz,
      -- Tries in a row that did not reach the provider.
      unreached_tests integer not null default 0,
      sync_frequency_minutes integer check (sync_frequency_minutes > 0),
      rate_limit_remaining integer,
      rate_limit_reset_at timestamptz,
      -- The door for the provider's webhooks. Its header's value is among the credentials; of its address only the hash is kept.
      webhook_source_id uuid,
      webhook_token_hash text,
      webhook_header_name text,
      revision integer not null default 1,
      created_by text not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      removed_at timestamptz,
      primary key (organization_id, connection_id),
      foreign key (organization_id, key_version) references encryption_keys (organization_id, version),
      check ((sealed_credentials is null) = (status = 'removed')),
      check ((sealed_credentials is null) = (key_version is null))
    );
    -- Two connections of one account would fight for its channel.
    create unique index connections_account on connections (organization_id, provider, account_id)
      where account_id is not null and status <> 'removed';
  `,
}
