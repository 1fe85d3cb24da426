import type { Migration } from '@parley/runtime'

/**
 * Two tables have no organization. `user_organizations` is about a person: it answers "where am I a member?", which no query under the
 * row-level security of one organization can, and holds nothing but the two ids; what they mean is read in each organization.
 * `subdomains` is what organizations share: a public name, first come; a unique key over all organizations' own rows would tell
 * one of them what another has.
 */
export const organizationsAndMembers: Migration = {
  name: '002-organizations-and-members',
  up: `
    create table organizations (
      organization_id uuid primary key,
      name text not null,
      domain text,
      subdomain text,
      website text,
      contact_name text,
      contact_email text,
      contact_phone text,
      billing_email text,
      address jsonb,
      timezone text not null,
      locale text not null,
      currency text not null,
      ai_enabled boolean not null default true,
      ai_model_preference text,
      ai_confidence_threshold double precision not null default 0.8 check (ai_confidence_threshold between 0 and 1),
      ai_monthly_budget_micros bigint check (ai_monthly_budget_micros >= 0),
      status text not null default 'pending_setup' check (status in ('pending_setup', 'active', 'inactive')),
      onboarding_steps text[] not null default '{}',
      onboarding_completed_at timestamptz,
      revision integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );

    create table subdomains (
      subdomain text primary key,
      taken_by uuid not null,
      taken_at timestamptz not null default now()
    );
    create unique index subdomains_taken_by on subdomains (taken_by);

    create table members (
      organization_id uuid not null references organizations (organization_id),
      user_id uuid not null,
      role text not null check (role in ('owner', 'admin', 'manager', 'product_editor', 'support', 'viewer')),
      permissions text[] not null default '{}',
      status text not null default 'active' check (status in ('active', 'suspended', 'removed')),
      notification_preferences jsonb not null default '{}',
      onboarding_step text,
      onboarding_completed boolean not null default false,
      invited_by uuid,
      joined_at timestamptz not null default now(),
      removed_at timestamptz,
      revision integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (organization_id, user_id)
    );
    create index members_owners on members (organization_id) where role = 'owner' and status = 'active';

    create table user_organizations (
      user_id uuid not null,
      member_of uuid not null,
      joined_at timestamptz not null default now(),
      primary key (user_id, member_of)
    );

    create table invitations (
      organization_id uuid not null references organizations (organization_id),
      invitation_id uuid not null,
      email text not null,
      role text not null check (role in ('owner', 'admin', 'manager', 'product_editor', 'support', 'viewer')),
      permissions text[] not null default '{}',
      personal_message text,
      invited_by uuid,
      token_hash bytea not null,
      status text not null default 'pending' check (status in ('pending', 'accepted', 'expired', 'revoked')),
      expires_at timestamptz not null,
      sent_count integer not null default 1,
      last_sent_at timestamptz not null,
      accepted_at timestamptz,
      accepted_by uuid,
      revoked_at timestamptz,
      revoked_by text,
      created_at timestamptz not null default now(),
      primary key (organization_id, invitation_id)
    );
    create unique index invitations_token on invitations (organization_id, token_hash);
    create unique index invitations_open on invitations (organization_id, email) where status = 'pending';
  `,
}
