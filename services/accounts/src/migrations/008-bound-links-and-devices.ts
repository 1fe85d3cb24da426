import type { Migration } from '@parley/runtime'

/**
 * A link that signs in belongs to the request that asked for it, which holds a secret of its own; a session belongs to the device it was
 * opened on, and ends when that device opens the next one.
 */
export const boundLinksAndDevices: Migration = {
  name: '008-bound-links-and-devices',
  up: `
    alter table mail_requests add column request_hash bytea;
    alter table one_time_tokens add column request_hash bytea;
    -- Of the code that is typed where the link was asked for; keyed, because it is short.
    alter table one_time_tokens add column code_hash text;
    create unique index one_time_tokens_request on one_time_tokens (request_hash) where request_hash is not null;
    -- Links of before have nobody they belong to; they would have been good for a quarter of an hour.
    update one_time_tokens set used_at = now() where purpose = 'magic_link' and used_at is null;

    alter table sessions add column device_hash bytea;
    alter table sessions drop constraint sessions_end_reason_check;
    alter table sessions add constraint sessions_end_reason_check check (
      end_reason in ('signed_out', 'revoked', 'password_changed', 'token_reused', 'suspended', 'replaced', 'two_factor_off'));
  `,
}
