import type { Migration } from './types.ts'

/** A job of a closed organization waits as a dead letter in this state: kept, listed, and in nobody's queue. */
export const heldJobs: Migration = {
  name: '000-runtime-held-jobs',
  up: `
    alter table dead_letters drop constraint dead_letters_state_check;
    alter table dead_letters add constraint dead_letters_state_check
      check (state in ('retrying', 'waiting', 'dead', 'held', 'redriven', 'dropped', 'recovered'));
  `,
}

/** Lets a service's role find out which organizations are closed, and nothing else of them, before it acts for one. */
export function closedOrganizationsPolicy(table: string, role: string): string[] {
  return [
    `drop policy if exists look_for_closed on ${table}`,
    `create policy look_for_closed on ${table} for select to ${role} using (status = 'inactive')`,
  ]
}
