import type { Migration } from '@parley/runtime'

export const turnsByOutcome: Migration = {
  name: '005-turns-by-outcome',
  up: `
    create index turns_outcome on turns (organization_id, outcome, taken_at desc, id);
  `,
}
