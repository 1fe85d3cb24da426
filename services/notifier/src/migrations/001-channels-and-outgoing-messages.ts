import type { Migration } from '@parley/runtime'

export const channelsAndOutgoingMessages: Migration = {
  name: '001-channels-and-outgoing-messages',
  up: `
    create table channels (
      organization_id uuid not null,
      account_id text not null,
      channel text not null check (channel in ('whatsapp')),
      provider text not null check (provider in ('whapi')),
      base_url text not null,
      sealed_token text not null,
      -- Rises with each new token, so that every replica notices that its client is out of date.
      token_version integer not null default 1,
      status text not null default 'active' check (status in ('active', 'unauthorised', 'disabled')),
      status_note text,
      status_changed_at timestamptz not null default now(),
      -- What the provider last said of the phone behind the channel.
      link_status text,
      link_needs_person boolean not null default false,
      link_changed_at timestamptz,
      per_second double precision check (per_second > 0),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (organization_id, account_id)
    );

    create table outgoing_messages (
      organization_id uuid not null,
      -- The message's id in its conversation.
      id uuid not null,
      -- The order in which messages were asked for, which is the order in which a chat gets them.
      position bigint generated always as identity,
      conversation_id uuid not null,
      customer_id uuid not null,
      channel text not null,
      account_id text not null,
      -- Null once the customer had their data erased, as is the digest that names the chat in job keys.
      chat_id text,
      chat_digest text,
      text text,
      attachment jsonb,
      quick_replies jsonb not null,
      reply_to_provider_message_id text,
      sender text not null,
      based_on_version integer,
      state text not null default 'queued' check (state in ('queued', 'sending', 'sent', 'failed', 'dropped')),
      -- Rises when a person asks to send a failed message again: each round is an effect of its own.
      round integer not null default 1,
      attempts integer not null default 0,
      provider_message_id text,
      found_by_lookup boolean,
      failure text,
      last_error text,
      requested_at timestamptz not null,
      sent_at timestamptz,
      settled_at timestamptz,
      primary key (organization_id, id),
      check (chat_id is not null or state in ('sent', 'failed', 'dropped'))
    );
    create unique index outgoing_messages_provider_id on outgoing_messages (organization_id, account_id, provider_message_id)
      where provider_message_id is not null;
    create index outgoing_messages_pending on outgoing_messages (organization_id, chat_digest, position) where state in ('queued', 'sending');
    create index outgoing_messages_parked on outgoing_messages (organization_id, account_id, chat_digest) where state in ('queued', 'sending');
    create index outgoing_messages_conversation on outgoing_messages (organization_id, conversation_id, position);
    create index outgoing_messages_chat on outgoing_messages (organization_id, account_id, chat_id, sent_at);
    create index outgoing_messages_state on outgoing_messages (organization_id, state, position);

    create table conversation_guards (
      organization_id uuid not null,
      conversation_id uuid not null,
      last_human_version integer not null,
      primary key (organization_id, conversation_id)
    ) with (fillfactor = 80);

    create table consent_withdrawals (
      organization_id uuid not null,
      customer_id uuid not null,
      channel text not null,
      withdrawn_at timestamptz not null,
      primary key (organization_id, customer_id, channel)
    );

    -- One row per channel, written several times a second: room for updates in place, and a vacuum soon after.
    create table rate_slots (
      organization_id uuid not null,
      account_id text not null,
      next_free_at timestamptz not null,
      primary key (organization_id, account_id)
    ) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
  `,
}
