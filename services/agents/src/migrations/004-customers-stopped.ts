import type { Migration } from '@parley/runtime'

export const customersStopped: Migration = {
  name: '004-customers-stopped',
  up: `
-- When the customers of the month were used up: who had written in it before then goes on being answered. Null: they are not, or
-- it was told before this was kept, and then it holds from the next word of accounts on.
alter table allowances add column customers_stopped_at timestamptz;
`,
}
