import type { Migration } from '@parley/runtime'

export const plansAndUsage: Migration = {
  name: '005-plans-and-usage',
  up: `
-- The subscriptions of an organization, one after the other: the one without an end is the current one, the others are the history.
create table subscriptions (
  organization_id uuid not null,
  subscription_id uuid not null,
  plan text not null check (plan in ('free', 'starter', 'professional', 'enterprise')),
  status text not null check (status in ('trialing', 'active', 'past_due', 'cancelled', 'suspended')),
  billing_cycle text not null check (billing_cycle in ('monthly', 'annual')),
  -- As they were when it began: a new price list does not change a running subscription.
  monthly_price_minor integer not null check (monthly_price_minor >= 0),
  annual_price_minor integer not null check (annual_price_minor >= 0),
  currency text not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  trial_ends_at timestamptz,
  -- When somebody cancelled it: it lasts until the end of what is paid.
  cancelled_at timestamptz,
  cancellation_reason text check (length(cancellation_reason) <= 1000),
  -- Null for what costs nothing.
  period_start timestamptz,
  period_end timestamptz,
  primary key (organization_id, subscription_id)
);
create unique index subscriptions_current on subscriptions (organization_id) where ended_at is null;
create index subscriptions_history on subscriptions (organization_id, started_at desc);

-- What metering must know of an organization. Locked by whoever looks at the whole; those who count only read it.
create table usage_settings (
  organization_id uuid not null primary key,
  timezone text not null default 'UTC',
  ai_budget_micros bigint check (ai_budget_micros >= 0),
  -- Of the organization record that both came from.
  organization_revision integer not null default 0,
  plan text,
  overrides jsonb not null default '{}',
  -- The month being watched and the use at which the next look is due.
  watch jsonb,
  -- Months up to this one are billed or about to be: nothing is counted there any more.
  closed_through date,
  -- As last told to the other services.
  allowance jsonb,
  allowance_revision integer not null default 0
) with (fillfactor = 70);

-- What an organization used in a month, apart for each lane of the bus. A lane is handled by one transaction at a time, so no two ever
-- wait for the same row, whatever the order in which they come to their organizations; the month is the sum of at most 16 rows.
create table usage_slots (
  organization_id uuid not null,
  month date not null,
  slot smallint not null check (slot between 0 and 15),
  events bigint not null default 0,
  messages bigint not null default 0,
  conversations bigint not null default 0,
  -- Customers first seen in this lane; one who writes on two channels may be in two, so this is no less than the truth.
  customers bigint not null default 0,
  ai_requests bigint not null default 0,
  prompt_tokens bigint not null default 0,
  completion_tokens bigint not null default 0,
  ai_spend_micros bigint not null default 0,
  primary key (organization_id, month, slot)
) with (fillfactor = 50);

-- Who wrote in a month. The lane is part of the key for the reason above. Emptied when the month is billed.
create table usage_customers (
  organization_id uuid not null,
  month date not null,
  customer_id uuid not null,
  slot smallint not null,
  primary key (organization_id, month, customer_id, slot)
);

-- One row for each use; its id is that of the event, so that nothing counts twice even after a handler's record of it is gone.
create table usage_logs (
  organization_id uuid not null,
  id uuid not null,
  usage_type text not null
    check (usage_type in ('message', 'conversation', 'ai_request', 'knowledge_chunk', 'embedding', 'api_call', 'export')),
  month date not null,
  conversation_id uuid,
  turn_id uuid,
  ai_model text,
  -- True: a simulated model; its cost is what a real one would have taken.
  simulated boolean,
  prompt_tokens integer not null default 0,
  completion_tokens integer not null default 0,
  total_cost_micros bigint not null default 0,
  occurred_at timestamptz not null,
  primary key (organization_id, id)
);
create index usage_logs_newest on usage_logs (organization_id, occurred_at desc, id);

create table billing_transactions (
  organization_id uuid not null,
  transaction_id uuid not null,
  subscription_id uuid,
  type text not null check (type in ('subscription', 'overage', 'one_time', 'refund', 'credit')),
  status text not null check (status in ('pending', 'failed', 'succeeded', 'refunded')),
  description text not null,
  -- Negative for what is given back.
  amount_minor bigint not null,
  tax_amount_minor bigint not null default 0,
  total_amount_minor bigint generated always as (amount_minor + tax_amount_minor) stored not null,
  currency text not null,
  payment_method text,
  payment_provider text,
  provider_transaction_id text,
  invoice_number text not null,
  invoice_url text,
  failure_reason text,
  -- What it is for.
  period_start timestamptz,
  period_end timestamptz,
  lines jsonb not null default '[]',
  -- Of a refund: the transaction whose money went back.
  refund_of uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  paid_at timestamptz,
  primary key (organization_id, transaction_id),
  unique (organization_id, invoice_number),
  foreign key (organization_id, subscription_id) references subscriptions (organization_id, subscription_id),
  foreign key (organization_id, refund_of) references billing_transactions (organization_id, transaction_id)
);
create index billing_transactions_newest on billing_transactions (organization_id, created_at desc, transaction_id);
create unique index billing_refunds_once on billing_transactions (organization_id, payment_provider, provider_transaction_id)
  where type = 'refund' and provider_transaction_id is not null;

-- A month once somebody looked at it: what was told, and in the end what it came to.
create table usage_months (
  organization_id uuid not null,
  month date not null,
  timezone text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  warned text[] not null default '{}',
  -- Use as last stated to others.
  reported jsonb not null default '{}',
  closed_at timestamptz,
  totals jsonb,
  limits jsonb,
  overage jsonb,
  overage_transaction_id uuid,
  primary key (organization_id, month),
  foreign key (organization_id, overage_transaction_id) references billing_transactions (organization_id, transaction_id)
);

-- Invoice numbers of an organization have no gaps: the number is taken in the transaction that writes the invoice.
create table invoice_counters (
  organization_id uuid not null,
  year integer not null,
  last integer not null,
  primary key (organization_id, year)
);

-- What payment providers told, each once.
create table payment_events (
  organization_id uuid not null,
  provider text not null,
  event_id text not null,
  type text not null,
  transaction_id uuid,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  primary key (organization_id, provider, event_id)
);
`,
}
