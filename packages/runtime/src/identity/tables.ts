import type { Migration } from '../types.ts'

/** Whom a key speaks for. Of keys that were known before nobody has said it: accounts is asked about each once more. */
export const keyMakers: Migration = {
  name: '000-runtime-key-makers',
  up: `
    alter table identity_keys add column maker_id uuid;
    alter table identity_keys add column maker_told boolean not null default false;
  `,
}

/**
 * What each service knows of who may call it, in its own schema: it verifies callers while accounts is away, and a removal reaches it
 * as an event. Two of the tables have no organization, because what they hold belongs to none: public keys of the installation,
 * and random ids of sessions that ended, which say nothing about anybody.
 */
export const identityTables: Migration = {
  name: '000-runtime-identity',
  up: `
    create table identity_members (
      organization_id uuid not null,
      user_id uuid not null,
      role text not null,
      permissions text[] not null,
      status text not null,
      revision integer not null,
      primary key (organization_id, user_id)
    );
    create table identity_keys (
      organization_id uuid not null,
      key_id text not null,
      hash text not null,
      previous_hash text,
      previous_until timestamptz,
      scopes text[] not null,
      per_minute integer,
      per_day integer,
      expires_at timestamptz,
      status text not null,
      revision integer not null,
      primary key (organization_id, key_id)
    );
    create table identity_signing_keys (
      kid text primary key,
      x text not null,
      trusted_until timestamptz
    );
    create table identity_revoked_sessions (
      session_id uuid primary key,
      forget_after timestamptz not null
    );
    create index identity_revoked_sessions_age on identity_revoked_sessions (forget_after);
  `,
}
