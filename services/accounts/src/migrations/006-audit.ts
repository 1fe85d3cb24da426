import type { Migration } from '@parley/runtime'

/**
 * Two logs that are only ever added to: what was changed (`audit_entries`) and who read personal data (`data_access`). Their comment
 * makes the runtime grant no update and no delete, so not even our own code can rewrite them.
 *
 * Only changes are chained: they are what a dispute is about, and few. Reads are one per request, kept for as long as the law asks and no
 * longer, and a chain could not lose its oldest links (docs/decisions/0012).
 *
 * `before` and `after` are json and not jsonb: jsonb refuses a NUL that a stranger put into a name, and the entry would be lost.
 */
export const audit: Migration = {
  name: '006-audit',
  up: `
    create table audit_entries (
      organization_id uuid not null,
      -- The id of the event that told it: a second delivery is the same entry.
      entry_id uuid not null,
      request_id text not null,
      actor_kind text not null check (actor_kind in ('member', 'key', 'operator', 'customer', 'system')),
      actor_id text not null,
      ip text,
      user_agent text,
      at timestamptz not null,
      action text not null,
      resource_type text not null,
      resource_id text not null,
      before json,
      after json,
      reason text,
      primary key (organization_id, entry_id)
    );
    comment on table audit_entries is 'append-only';
    create index audit_entries_at on audit_entries (organization_id, at, entry_id);
    create index audit_entries_actor on audit_entries (organization_id, actor_id, at, entry_id);
    create index audit_entries_resource on audit_entries (organization_id, resource_type, resource_id, at, entry_id);

    -- Entries that are in no link yet, in the order in which they came.
    create table audit_unsealed (
      organization_id uuid not null,
      entry_id uuid not null,
      seq bigint generated always as identity,
      queued_at timestamptz not null default now(),
      primary key (organization_id, entry_id),
      foreign key (organization_id, entry_id) references audit_entries (organization_id, entry_id)
    );
    create index audit_unsealed_order on audit_unsealed (organization_id, seq);

    create table audit_chain (
      organization_id uuid not null,
      sequence bigint not null check (sequence > 0),
      entry_id uuid not null,
      previous_hash text not null,
      hash text not null,
      sealed_at timestamptz not null,
      primary key (organization_id, sequence),
      unique (organization_id, entry_id),
      foreign key (organization_id, entry_id) references audit_entries (organization_id, entry_id)
    );
    comment on table audit_chain is 'append-only';

    -- Where the chain ends: a tail that was cut off would otherwise leave a shorter chain that is whole.
    create table audit_heads (
      organization_id uuid primary key,
      sequence bigint not null,
      hash text not null,
      sealed_at timestamptz not null
    );

    -- 004's data_access_audit: table_name is resource_type, operation is action, user_id is actor_id, attempted_record_id is
    -- resource_id, ip_address is ip, created_at is at.
    create table data_access (
      organization_id uuid not null,
      entry_id uuid not null,
      request_id text not null,
      actor_kind text not null check (actor_kind in ('member', 'key', 'operator', 'customer', 'system')),
      actor_id text not null,
      ip text,
      user_agent text,
      at timestamptz not null,
      action text not null,
      resource_type text not null,
      resource_id text,
      row_count integer not null,
      primary key (organization_id, entry_id)
    );
    comment on table data_access is 'append-only';
    create index data_access_at on data_access (organization_id, at, entry_id);
    create index data_access_actor on data_access (organization_id, actor_id, at, entry_id);
    create index data_access_resource on data_access (organization_id, resource_type, resource_id, at, entry_id);
  `,
}
