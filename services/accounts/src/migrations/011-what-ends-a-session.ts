import type { Migration } from '@parley/runtime'

export const whatEndsASession: Migration = {
  name: '011-what-ends-a-session',
  up: `
    alter table sessions drop constraint sessions_end_reason_check;
    alter table sessions add constraint sessions_end_reason_check check (
      end_reason in ('signed_out', 'revoked', 'password_changed', 'token_reused', 'suspended', 'replaced', 'two_factor_off', 'two_factor_on'));
    create index mail_requests_user on mail_requests (user_id) where user_id is not null;
  `,
}
