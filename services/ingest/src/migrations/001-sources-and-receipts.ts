import type { Migration } from '@parley/runtime'

/**
 * Receipts and items have no foreign keys: each would lock its source's row once per webhook, which is what all webhooks of a
 * shop share, and a receipt outlives its source. One statement writes a receipt with its items, so none can be without the other.
 *
 * A receipt is written when its delivery has been judged, in the same transaction, so there is no state before `done`.
 */
export const sourcesAndReceipts: Migration = {
  name: '001-sources-and-receipts',
  up: `
    create table webhook_sources (
      organization_id uuid not null,
      id uuid not null,
      provider text not null,
      account_id text,
      name text not null,
      token_hash bytea,
      header_name text,
      sealed_header_current text,
      sealed_header_previous text,
      header_rotated_at timestamptz,
      sealed_signing_current text,
      sealed_signing_previous text,
      signing_rotated_at timestamptz,
      status text not null default 'active' check (status in ('active', 'disabled')),
      -- To the minute: exact, it would be the one row that every webhook writes.
      last_received_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (organization_id, id)
    );
    create unique index webhook_sources_token on webhook_sources (organization_id, token_hash) where token_hash is not null;

    create table receipts (
      organization_id uuid not null,
      id uuid not null,
      source_id uuid not null,
      provider text not null,
      topic text not null,
      state text not null check (state in ('done', 'ignored', 'dead')),
      note text,
      headers jsonb not null,
      -- Null for a complete duplicate, whose first receipt has it, and after an erasure.
      body bytea,
      body_sha256 text not null,
      size integer not null,
      event_count integer not null,
      duplicate_count integer not null default 0,
      correlation_id text not null,
      received_at timestamptz not null,
      provider_time timestamptz,
      attempts integer not null default 1,
      error text,
      replayed_at timestamptz,
      primary key (organization_id, id)
    );
    create index receipts_state on receipts (organization_id, id) where state in ('dead', 'ignored');
    create index receipts_received on receipts using brin (received_at);

    -- The provider's own id of each fact, first come: what makes a second delivery a duplicate.
    create table receipt_items (
      organization_id uuid not null,
      source_id uuid not null,
      item_key text not null,
      receipt_id uuid not null,
      chat_key text,
      event_type text,
      primary key (organization_id, source_id, item_key)
    );
    create index receipt_items_chat on receipt_items (organization_id, chat_key) where chat_key is not null;

    create table duplicate_items (
      organization_id uuid not null,
      receipt_id uuid not null,
      source_id uuid not null,
      item_key text not null,
      first_receipt_id uuid not null,
      chat_key text,
      primary key (organization_id, receipt_id, item_key)
    );
    create index duplicate_items_chat on duplicate_items (organization_id, chat_key) where chat_key is not null;
  `,
}
