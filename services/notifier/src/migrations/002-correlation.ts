import type { Migration } from '@parley/runtime'

/** A run sends its chat's oldest message, whoever asked for the run: so a message remembers which chain it belongs to. */
export const correlation: Migration = {
  name: '002-correlation',
  up: `alter table outgoing_messages add column correlation_id text;`,
}
