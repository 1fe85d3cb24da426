import type { Migration } from '@parley/runtime'

/** An organization may require a second factor of its members; a session knows whether it has had one. */
export const requiredSecondFactor: Migration = {
  name: '007-required-second-factor',
  up: `
    alter table organizations add column require_two_factor boolean not null default false;
    alter table sessions add column second_factor boolean not null default false;
  `,
}
