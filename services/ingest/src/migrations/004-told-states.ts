import type { Migration } from '@parley/runtime'

/**
 * What was last told of each thing that may become so again: a row per subject, which every later state of it locks. Both texts are
 * hashes. It is no longer kept than the receipts are.
 */
export const toldStates: Migration = {
  name: '004-told-states',
  up: `
    create table told_states (
      organization_id uuid not null,
      source_id uuid not null,
      subject text not null,
      value text not null,
      receipt_id uuid not null,
      told_at timestamptz not null,
      primary key (organization_id, source_id, subject)
    );
    create index told_states_age on told_states (organization_id, receipt_id);
  `,
}
