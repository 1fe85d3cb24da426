import type { Migration } from '../types.ts'

/** Which organizations are closed, and which want a second factor of their members, as each service knows it by itself. */
export const organizationTables: Migration = {
  name: '000-runtime-organizations',
  up: `
    create table identity_organizations (
      organization_id uuid primary key,
      status text not null,
      require_two_factor boolean not null,
      revision integer not null
    );
  `,
}
