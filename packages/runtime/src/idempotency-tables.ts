import type { Migration } from './types.ts'

/**
 * Calls with an Idempotency-Key, for a day. The key itself is not here: its hash names the row, and what is derived from it seals the
 * answer, which may show a secret that is shown once.
 */
export const idempotencyTables: Migration = {
  name: '000-runtime-idempotency',
  up: `
    create table idempotency_keys (
      organization_id uuid not null,
      key_hash text not null,
      request_mac text not null,
      state text not null check (state in ('started', 'carried out', 'answered')),
      claim uuid not null,
      status integer,
      sealed_answer text,
      created_at timestamptz not null default now(),
      primary key (organization_id, key_hash)
    );
    create index idempotency_keys_age on idempotency_keys (created_at);
  `,
}

const expired = `created_at < now() - interval '24 hours'`

/** The upkeep has no organization and must take away rows of all of them: it is shown, and may delete, those whose day is over. */
export function idempotencyPolicies(table: string, role: string): string[] {
  return [
    `drop policy if exists look_for_expired on ${table}`,
    `create policy look_for_expired on ${table} for select to ${role} using (${expired})`,
    `drop policy if exists forget_expired on ${table}`,
    `create policy forget_expired on ${table} for delete to ${role} using (${expired})`,
  ]
}

/** Deletes up to $1 rows whose day is over. */
export const forgetIdempotencyKeys = `delete from idempotency_keys where ctid = any(array(
  select ctid from idempotency_keys where ${expired} limit $1)) returning 1`
