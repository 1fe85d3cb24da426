import type { Migration } from '@parley/runtime'

/**
 * None of these tables has an organization. A person signs in before we know for whom, may work for several organizations or for
 * none, and has one password, one second factor and one list of sessions over all of them; signing keys and mail belong to the
 * installation. Row-level security cannot guard them, so every query names the person (`user_id`) or the hash of a secret.
 *
 * What is a secret is kept as a hash (tokens, recovery codes) or sealed (second factors, private keys, the text of mail, which has
 * links that sign in); passwords are argon2id.
 */
export const peopleAndSessions: Migration = {
  name: '001-people-and-sessions',
  up: `
    create table users (
      user_id uuid primary key,
      email text not null,
      email_verified_at timestamptz,
      -- PHC text; null for who signs in by mail or at an outside issuer only.
      password_hash text,
      password_changed_at timestamptz,
      require_password_change boolean not null default false,
      status text not null default 'active' check (status in ('active', 'suspended')),
      first_name text,
      last_name text,
      display_name text,
      avatar_url text,
      phone text,
      timezone text,
      locale text,
      sealed_totp text,
      totp_confirmed_at timestamptz,
      -- The last time step whose code was taken: a code that was seen over somebody's shoulder opens nothing (RFC 6238, 5.2).
      totp_last_step bigint,
      -- Which organization the next sign-in begins with.
      last_member_of uuid,
      sign_in_count integer not null default 0,
      last_sign_in_at timestamptz,
      last_activity_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index users_email on users (lower(email));

    create table sessions (
      session_id uuid primary key,
      user_id uuid not null references users (user_id),
      -- The organization that access tokens of this session name; null for none.
      acting_for uuid,
      method text not null check (method in ('password', 'magic_link', 'verification', 'outside')),
      authenticated_at timestamptz not null,
      ip text,
      user_agent text,
      created_at timestamptz not null default now(),
      last_used_at timestamptz not null,
      expires_at timestamptz not null,
      ended_at timestamptz,
      end_reason text check (end_reason in ('signed_out', 'revoked', 'password_changed', 'token_reused', 'suspended'))
    );
    create index sessions_user on sessions (user_id, last_used_at) where ended_at is null;
    create index sessions_ended on sessions (ended_at) where ended_at is not null;
    create index sessions_expires on sessions (expires_at);

    -- All refresh tokens of a session, used ones too: one that comes again was stolen, or its answer was lost.
    create table refresh_tokens (
      token_hash bytea primary key,
      session_id uuid not null references sessions (session_id) on delete cascade,
      created_at timestamptz not null,
      used_at timestamptz,
      -- With the token itself, which we do not have, it gives the token that came after it (src/tokens.ts).
      successor_nonce bytea
    );
    create index refresh_tokens_session on refresh_tokens (session_id);

    -- Devices that somebody signed in from: they are not slowed down by strangers who guess.
    create table known_devices (
      token_hash bytea primary key,
      user_id uuid not null references users (user_id),
      created_at timestamptz not null default now(),
      last_used_at timestamptz not null
    );
    create index known_devices_user on known_devices (user_id);

    create table one_time_tokens (
      token_hash bytea primary key,
      purpose text not null check (purpose in ('sign_up', 'magic_link', 'password_reset', 'email_change')),
      -- Null while the person does not exist yet.
      user_id uuid references users (user_id),
      email text not null,
      -- What a sign-up asked for, password hash included, until the address is proved.
      details jsonb not null default '{}',
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz
    );
    create index one_time_tokens_user on one_time_tokens (user_id, purpose) where user_id is not null;
    create index one_time_tokens_expires on one_time_tokens (expires_at);

    create table recovery_codes (
      user_id uuid not null references users (user_id),
      code_hash bytea not null,
      used_at timestamptz,
      primary key (user_id, code_hash)
    );

    create table signing_keys (
      kid text primary key,
      x text not null,
      sealed_private text,
      created_at timestamptz not null,
      -- It signs from then on; published before, so that every service has it by then.
      active_from timestamptz not null,
      -- Tokens of it are refused from then on; null while it signs.
      trusted_until timestamptz
    );

    create table mails (
      mail_id uuid primary key,
      kind text not null,
      recipient text not null,
      subject text not null,
      -- Null once it is gone: its links sign people in.
      sealed_text text,
      state text not null default 'waiting' check (state in ('waiting', 'sent', 'kept', 'refused', 'late')),
      error text,
      created_at timestamptz not null default now(),
      -- Its links are no good after this, so it is not sent after this.
      send_before timestamptz,
      settled_at timestamptz
    );
    create index mails_created on mails (created_at);

    -- Something that was asked for under an e-mail address, before anybody looks whether there is such a person.
    create table mail_requests (
      request_id uuid primary key,
      kind text not null check (kind in ('sign_up', 'magic_link', 'password_reset', 'email_change')),
      -- Who asked, where somebody must be signed in to ask.
      user_id uuid references users (user_id),
      email text not null,
      details jsonb not null default '{}',
      created_at timestamptz not null
    );

    -- Tries by account, address and device, under a keyed hash: strangers' addresses are not for keeping.
    create table sign_in_attempts (
      subject text primary key,
      failures integer not null,
      last_at timestamptz not null,
      blocked_until timestamptz not null
    );
    create index sign_in_attempts_last on sign_in_attempts (last_at);

    create table outside_identities (
      issuer text not null,
      subject text not null,
      user_id uuid not null references users (user_id),
      created_at timestamptz not null default now(),
      primary key (issuer, subject)
    );
    create index outside_identities_user on outside_identities (user_id);
  `,
}
