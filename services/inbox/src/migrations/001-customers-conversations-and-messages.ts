import type { Migration } from '@parley/runtime'

export const customersConversationsAndMessages: Migration = {
  name: '001-customers-conversations-and-messages',
  up: `
create table customers (
  organization_id uuid not null,
  id uuid not null,
  -- A group or a broadcast list is its own customer: its members never wrote to us as themselves.
  kind text not null check (kind in ('person', 'group', 'broadcast')),
  name text,
  status text not null default 'NO_ORDERS_YET' check (status in ('ORDERING', 'AT_RISK', 'STOPPED_ORDERING', 'NO_ORDERS_YET')),
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  erased_at timestamptz,
  primary key (organization_id, id)
);
create index customers_newest on customers (organization_id, created_at desc, id);

create table customer_identities (
  organization_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  channel text not null,
  account_id text not null,
  external_id text not null,
  phone text,
  created_at timestamptz not null default now(),
  primary key (organization_id, id),
  foreign key (organization_id, customer_id) references customers (organization_id, id),
  unique (organization_id, channel, account_id, external_id)
);
create index customer_identities_customer on customer_identities (organization_id, customer_id);
create index customer_identities_phone on customer_identities (organization_id, phone) where phone is not null;

create table conversations (
  organization_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  channel text not null,
  account_id text not null,
  -- Null once its customer was erased: the same chat may then begin a new conversation.
  chat_id text,
  chat_kind text not null check (chat_kind in ('person', 'group', 'broadcast')),
  chat_name text,
  source text not null,
  status text not null default 'open' check (status in ('open', 'with_person', 'closed')),
  version integer not null default 0,
  last_human_version integer not null default 0,
  last_message_at timestamptz,
  last_customer_message_at timestamptz,
  unread_count integer not null default 0,
  message_count integer not null default 0,
  agent_message_count integer not null default 0,
  human_message_count integer not null default 0,
  -- When the agent's last answers were released, oldest first: what the loop breaker looks at.
  agent_reply_times timestamptz[] not null default '{}',
  assignee text,
  note text,
  language text,
  intent text,
  sentiment text,
  handed_over_at timestamptz,
  handed_over_reason text,
  handed_over_note text,
  -- The turn that handed over may still say so to the customer.
  handed_over_turn_id uuid,
  -- What was sent up to here belongs to a person who had their data erased.
  erased_before timestamptz,
  erased_at timestamptz,
  started_at timestamptz not null,
  closed_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, id),
  foreign key (organization_id, customer_id) references customers (organization_id, id),
  unique (organization_id, channel, account_id, chat_id)
);
create index conversations_latest on conversations (organization_id, last_message_at desc, id);
create index conversations_customer on conversations (organization_id, customer_id);

create table messages (
  organization_id uuid not null,
  id uuid not null,
  conversation_id uuid not null,
  channel text not null,
  account_id text not null,
  -- Its place by arrival; null for an answer that was dropped before it took one.
  version integer,
  sender text not null check (sender in ('user', 'agent', 'human', 'system')),
  sender_id text,
  sender_name text,
  origin text,
  author text,
  type text not null,
  text text,
  -- The rest of the content; the words are in text alone, for search and for erasing.
  content jsonb not null,
  quick_replies jsonb not null default '[]',
  status text not null,
  status_rank smallint not null,
  status_errors jsonb not null default '[]',
  failure_reason text,
  failure_detail text,
  provider_message_id text,
  client_message_id text,
  turn_id uuid,
  reply_to_message_id uuid,
  reply_to_provider_message_id text,
  wants_reply boolean not null default false,
  based_on_version integer,
  intent text,
  sentiment text,
  confidence double precision,
  model text,
  simulated boolean,
  -- The provider's time; null until it took a message of ours.
  sent_at timestamptz,
  added_at timestamptz not null,
  -- Where it is read: the provider's time for what came in, never before its question for what goes out.
  ordered_at timestamptz not null,
  edited_at timestamptz,
  deleted_at timestamptz,
  erased_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id),
  unique (organization_id, channel, account_id, provider_message_id),
  unique (organization_id, conversation_id, version)
);
create unique index messages_client on messages (organization_id, conversation_id, client_message_id) where client_message_id is not null;
create unique index messages_turn on messages (organization_id, turn_id) where turn_id is not null;
create index messages_reading on messages (organization_id, conversation_id, ordered_at, version);

create table message_status_history (
  organization_id uuid not null,
  id uuid not null,
  message_id uuid not null,
  status text not null,
  applied boolean not null,
  errors jsonb not null default '[]',
  changed_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  primary key (organization_id, id),
  foreign key (organization_id, message_id) references messages (organization_id, id)
);
create index message_status_history_message on message_status_history (organization_id, message_id, changed_at);

create table message_edits (
  organization_id uuid not null,
  id uuid not null,
  message_id uuid not null,
  change text not null check (change in ('edited', 'deleted')),
  text text,
  previous_text text,
  previous_content jsonb,
  -- False for one that came after a newer one: known, but not what the message says.
  applied boolean not null,
  changed_at timestamptz not null,
  primary key (organization_id, id),
  foreign key (organization_id, message_id) references messages (organization_id, id)
);
create index message_edits_message on message_edits (organization_id, message_id, changed_at);

create table message_reactions (
  organization_id uuid not null,
  message_id uuid not null,
  reactor_id text not null,
  from_us boolean not null,
  -- Null: taken away. The row stays, so that an older reaction that comes late cannot bring it back.
  emoji text,
  reacted_at timestamptz not null,
  primary key (organization_id, message_id, reactor_id),
  foreign key (organization_id, message_id) references messages (organization_id, id)
);

-- What a provider reported about a message that we do not know yet.
create table early_arrivals (
  organization_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('echo', 'status', 'edit', 'deletion', 'reaction')),
  channel text not null,
  account_id text not null,
  chat_id text not null,
  provider_message_id text not null,
  data jsonb not null,
  occurred_at timestamptz not null,
  arrived_at timestamptz not null,
  primary key (organization_id, id)
);
create index early_arrivals_message on early_arrivals (organization_id, channel, account_id, provider_message_id);
create index early_arrivals_oldest on early_arrivals (organization_id, arrived_at);

-- The proof: what a customer said about being written to, in the order in which we learned it.
create table consents (
  organization_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  channel text not null,
  purpose text not null check (purpose in ('conversation', 'marketing')),
  state text not null check (state in ('granted', 'withdrawn')),
  wording text not null,
  message_id uuid not null,
  -- False when something said later was already known.
  applied boolean not null,
  stated_at timestamptz not null,
  recorded_at timestamptz not null,
  primary key (organization_id, id),
  foreign key (organization_id, customer_id) references customers (organization_id, id),
  foreign key (organization_id, message_id) references messages (organization_id, id)
);
create index consents_newest on consents (organization_id, recorded_at desc, id);
create index consents_customer on consents (organization_id, customer_id, recorded_at desc);
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'The consent log is only ever added to.';
end
$$;
create trigger consents_append_only before update or delete on consents for each row execute function refuse_change();

create table consent_states (
  organization_id uuid not null,
  customer_id uuid not null,
  channel text not null,
  purpose text not null check (purpose in ('conversation', 'marketing')),
  state text not null check (state in ('granted', 'withdrawn')),
  stated_at timestamptz not null,
  consent_id uuid not null,
  primary key (organization_id, customer_id, channel, purpose),
  foreign key (organization_id, customer_id) references customers (organization_id, id),
  foreign key (organization_id, consent_id) references consents (organization_id, id)
);

-- Keyed hashes of erased identities: enough to recognise a late delivery, not to find out who it was.
create table suppressions (
  organization_id uuid not null,
  identity_hash text not null,
  erased_before timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (organization_id, identity_hash)
);

-- The receipt of an erasure: what was asked, when it was complete, how much went.
create table erasures (
  organization_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  channel text not null,
  conversation_ids uuid[] not null,
  message_count integer not null default 0,
  requested_at timestamptz not null,
  erased_at timestamptz not null,
  completed_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, customer_id) references customers (organization_id, id),
  unique (organization_id, customer_id)
);

-- Events that changed nothing, and why. No personal data.
create table event_notes (
  organization_id uuid not null,
  id uuid not null,
  event_id uuid not null,
  event_type text not null,
  reason text not null,
  noted_at timestamptz not null,
  primary key (organization_id, id)
);
create index event_notes_newest on event_notes (organization_id, noted_at desc);
`,
}
