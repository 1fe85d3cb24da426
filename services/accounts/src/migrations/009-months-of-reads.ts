import type { Migration } from '@parley/runtime'

/**
 * Records of reads in a table for each month (UTC), so that old ones go without a search, and without anybody being allowed to delete
 * one: the service may only ask for whole months to be dropped, and for none of the last 30 days. What was kept so far moves over.
 */
export const monthsOfReads: Migration = {
  name: '009-months-of-reads',
  up: `
    alter table data_access rename to data_access_before;
    alter table data_access_before drop constraint data_access_pkey;
    drop index data_access_at, data_access_actor, data_access_resource;

    create table data_access (
      organization_id uuid not null,
      entry_id uuid not null,
      request_id text not null,
      actor_kind text not null check (actor_kind in ('member', 'key', 'operator', 'customer', 'system')),
      actor_id text not null,
      ip text,
      user_agent text,
      at timestamptz not null,
      action text not null,
      resource_type text not null,
      resource_id text,
      row_count integer not null,
      -- An event that comes twice says the same moment twice.
      primary key (organization_id, entry_id, at)
    ) partition by range (at);
    comment on table data_access is 'append-only';
    create index data_access_at on data_access (organization_id, at, entry_id);
    create index data_access_actor on data_access (organization_id, actor_id, at, entry_id);
    create index data_access_resource on data_access (organization_id, resource_type, resource_id, at, entry_id);
    -- Nothing is lost for want of a month.
    create table data_access_rest partition of data_access default;

    -- Forced row-level security would hide the rest from an owner who is no superuser; it is on again when the function ends.
    create function open_month_of_reads(month date) returns void language plpgsql security definer set search_path = accounts, pg_temp as $$
    declare
      part text := format('data_access_%s', to_char(month, 'YYYYMM'));
      begins timestamptz := month::timestamp at time zone 'UTC';
      ends timestamptz := (month + interval '1 month')::timestamp at time zone 'UTC';
    begin
      if to_regclass('accounts.' || part) is not null then return; end if;
      execute format('create table %I (like data_access including constraints including indexes)', part);
      alter table data_access_rest no force row level security;
      execute format('with moved as (delete from data_access_rest where at >= %L and at < %L returning *) insert into %I select * from moved',
        begins, ends, part);
      alter table data_access_rest force row level security;
      execute format('alter table data_access attach partition %I for values from (%L) to (%L)', part, begins, ends);
      execute format('alter table %I enable row level security, force row level security', part);
    end $$;

    create function keep_months_of_reads(keep_days int) returns int language plpgsql security definer set search_path = accounts, pg_temp as $$
    declare
      this_month date := date_trunc('month', now() at time zone 'UTC')::date;
      part record;
      dropped int := 0;
    begin
      if keep_days < 30 then raise exception 'records of reads are kept for at least 30 days'; end if;
      for ahead in 0..2 loop
        perform open_month_of_reads((this_month + make_interval(months => ahead))::date);
      end loop;
      for part in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'data_access'::regclass and c.relname ~ '^data_access_[0-9]{6}$' loop
        if (to_date(substr(part.relname, 13), 'YYYYMM') + interval '1 month')::timestamp at time zone 'UTC' < now() - make_interval(days => keep_days) then
          execute format('drop table %I', part.relname);
          dropped := dropped + 1;
        end if;
      end loop;
      alter table data_access_rest no force row level security;
      delete from data_access_rest where ctid = any(array(
        select ctid from data_access_rest where at < now() - make_interval(days => keep_days) limit 10000));
      alter table data_access_rest force row level security;
      return dropped;
    end $$;
    revoke execute on function open_month_of_reads(date), keep_months_of_reads(int) from public;
    grant execute on function keep_months_of_reads(int) to parley_accounts;

    alter table data_access_before no force row level security;
    select open_month_of_reads(month) from (select distinct date_trunc('month', at at time zone 'UTC')::date as month from data_access_before) as months;
    insert into data_access select * from data_access_before;
    drop table data_access_before;
    select keep_months_of_reads(36500);
  `,
}
