import type { Migration } from '@parley/runtime'

export const agentsAndTurns: Migration = {
  name: '001-agents-and-turns',
  up: `
create table agents (
  organization_id uuid not null,
  id uuid not null,
  is_default boolean not null default false,
  name text not null,
  description text not null default '',
  tone text not null default 'friendly' check (tone in ('professional', 'friendly', 'casual', 'formal', 'empathetic')),
  language text not null default 'en' check (language in ('en', 'fr', 'es', 'ar')),
  instructions text not null default '',
  welcome_message text,
  model text,
  max_tokens integer check (max_tokens between 64 and 4096),
  confidence_threshold double precision not null default 0.5 check (confidence_threshold between 0 and 1),
  quiet_ms integer check (quiet_ms between 0 and 60000),
  allowed_link_hosts text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'inactive', 'draft')),
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, id)
);
create unique index agents_one_default on agents (organization_id) where is_default;

-- What was said, as far as agents need to know it: their own small copy, filled from events only.
create table conversations (
  organization_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  channel text not null,
  account_id text not null,
  -- A phone number, as a rule: null after erasure.
  chat_id text,
  -- The newest message seen.
  version integer not null,
  -- Up to here a person has dealt with everything.
  closed_version integer not null default 0,
  -- The newest message by a person of the shop; a draft on an older version is not said.
  last_human_version integer not null default 0,
  with_person boolean not null default false,
  -- When a person last wrote or took over: automatic answers before that are not counted as a loop.
  person_at timestamptz,
  language text,
  -- Turns in a row that found no model, and when to ask again.
  model_failures integer not null default 0,
  retry_at timestamptz,
  -- Words from before this moment must not be stored again, however late their event comes.
  erased_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, id)
) with (fillfactor = 80);

create table messages (
  organization_id uuid not null,
  conversation_id uuid not null,
  version integer not null,
  id uuid not null,
  role text not null check (role in ('customer', 'agent', 'person', 'system')),
  text text not null check (length(text) <= 4000),
  -- False for a customer's message that no agent may answer, a consent command for one.
  wants_reply boolean not null,
  -- The turn that read it. Kept for each message and not as one number for the conversation: messages may come out of order.
  turn_id uuid,
  added_at timestamptz not null,
  -- By our own clock: how long somebody has been quiet is measured by one clock.
  seen_at timestamptz not null,
  primary key (organization_id, conversation_id, version),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);

-- No foreign key to conversations: the numbers of a turn outlive the erasure of what was said in it.
create table turns (
  organization_id uuid not null,
  id uuid not null,
  conversation_id uuid not null,
  agent_id uuid not null,
  message_ids uuid[] not null,
  based_on_version integer not null,
  outcome text not null check (outcome in ('replied', 'handed_over', 'silent')),
  reason text,
  language text,
  intent text,
  sentiment text check (sentiment in ('positive', 'neutral', 'negative')),
  facts jsonb not null default '[]',
  confidence double precision,
  needs_person boolean,
  model text,
  simulated boolean not null,
  prompt_version text,
  prompt_hash text,
  prompt_tokens integer not null default 0,
  completion_tokens integer not null default 0,
  cost_micros bigint not null default 0,
  duration_ms integer not null,
  error_class text,
  decision jsonb not null,
  erased_at timestamptz,
  taken_at timestamptz not null,
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agents (organization_id, id)
);
create index turns_of_conversation on turns (organization_id, conversation_id, taken_at desc);
create index turns_newest on turns (organization_id, taken_at desc, id);

-- Spend of a UTC day. reserved + settled never exceeds the cap it was reserved under.
create table spend_ledger (
  organization_id uuid not null,
  day date not null,
  reserved_micros bigint not null default 0 check (reserved_micros >= 0),
  settled_micros bigint not null default 0 check (settled_micros >= 0),
  cap_micros bigint not null,
  primary key (organization_id, day)
) with (fillfactor = 50);

-- One row per try of a turn. settled_micros is written once; a settled row is later folded into the ledger and deleted. A row
-- without it is the turn under way: a run that finds one knows that the run before it died.
create table spend_reservations (
  organization_id uuid not null,
  id uuid not null,
  turn_id uuid not null,
  conversation_id uuid not null,
  day date not null,
  reserved_micros bigint not null check (reserved_micros >= 0),
  settled_micros bigint check (settled_micros >= 0),
  created_at timestamptz not null default now(),
  primary key (organization_id, id),
  foreign key (organization_id, day) references spend_ledger (organization_id, day)
);
create index spend_reservations_open on spend_reservations (organization_id, conversation_id) where settled_micros is null;
create index spend_reservations_to_fold on spend_reservations (organization_id, id) where settled_micros is not null;
`,
}
