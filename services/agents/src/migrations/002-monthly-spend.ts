import type { Migration } from '@parley/runtime'

export const monthlySpend: Migration = {
  name: '002-monthly-spend',
  up: `
-- What accounts last said an organization may use. Kept here, so that turns are taken while accounts is away.
create table allowances (
  organization_id uuid not null primary key,
  month date not null,
  timezone text not null,
  -- Null: no limit.
  ai_spend_micros bigint check (ai_spend_micros >= 0),
  stopped text[] not null,
  revision integer not null
);

-- Spend of a month in the organization's own zone, beside the UTC day of spend_ledger and changed by the same statements.
create table spend_months (
  organization_id uuid not null,
  month date not null,
  reserved_micros bigint not null default 0 check (reserved_micros >= 0),
  settled_micros bigint not null default 0 check (settled_micros >= 0),
  primary key (organization_id, month)
) with (fillfactor = 50);

-- Null: reserved before months were kept.
alter table spend_reservations add column month date,
  add foreign key (organization_id, month) references spend_months (organization_id, month);
`,
}
