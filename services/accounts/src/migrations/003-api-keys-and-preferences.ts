import type { Migration } from '@parley/runtime'

/**
 * Preferences are a person's, the same in every organization, so their table has none; they are sealed, as the documents ask.
 * Of an API key nothing is kept that opens anything: a hash of its secret, and its last four characters to recognise it by.
 */
export const apiKeysAndPreferences: Migration = {
  name: '003-api-keys-and-preferences',
  up: `
    create table api_keys (
      organization_id uuid not null,
      key_id text not null,
      name text not null,
      last_four text not null,
      hash text not null,
      previous_hash text,
      previous_until timestamptz,
      scopes text[] not null,
      per_minute integer check (per_minute > 0),
      per_day integer check (per_day > 0),
      expires_at timestamptz,
      status text not null default 'active' check (status in ('active', 'revoked')),
      -- About one agent of the organization only, when it is; agents' business, so no foreign key.
      agent_id uuid,
      created_by text not null,
      -- The person among them, to find the keys that somebody who left has seen.
      created_by_user uuid,
      rotated_at timestamptz,
      revoked_at timestamptz,
      revoked_by text,
      last_used_at timestamptz,
      total_requests bigint not null default 0,
      revision integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (organization_id, key_id)
    );

    create table user_preferences (
      user_id uuid primary key,
      sealed_preferences text not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
  `,
}
