import type { Migration } from '@parley/runtime'

/**
 * Whose receipts there are to forget. The job that forgets belongs to no organization, and row-level security shows it none; so whoever
 * opens a source is noted here, with nothing but the id. It is called `owner`: a column of the usual name would hide the table too.
 */
export const receiptOwners: Migration = {
  name: '003-receipt-owners',
  up: `
    create table receipt_owners (
      owner uuid primary key
    );
    -- Whoever runs this may be an owner to whom forced row-level security applies.
    alter table webhook_sources no force row level security;
    insert into receipt_owners select distinct organization_id from webhook_sources;
    alter table webhook_sources force row level security;
  `,
}
