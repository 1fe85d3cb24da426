import type { Migration } from '@parley/runtime'

/** Calls of a key come in reports of many: one row each, which says how many and of which key. */
export const callsAndExports: Migration = {
  name: '010-calls-and-exports',
  up: `
    alter table usage_logs add column quantity bigint not null default 1 check (quantity > 0), add column key_id text;
    -- The sums of a month; there are few of these beside the messages.
    create index usage_logs_calls on usage_logs (organization_id, month, usage_type) include (quantity)
      where usage_type in ('api_call', 'export');
  `,
}
