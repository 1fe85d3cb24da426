import {
  keyChanged,
  memberChanged,
  memberInvited,
  memberJoined,
  memberRemoved,
  organizationCreated,
  organizationUpdated,
} from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { AccountsConfig, openApp } from './app.ts'
import { peopleAndSessions } from './migrations/001-people-and-sessions.ts'
import { organizationsAndMembers } from './migrations/002-organizations-and-members.ts'
import { audit } from './migrations/006-audit.ts'
import { sealAudit } from './jobs/seal-audit.ts'
import { keepRead } from './handlers/keep-read.ts'
import { keepChange } from './handlers/keep-change.ts'

export const accounts = defineService({
  name: 'accounts',
  summary: 'Who may do what: organizations, people, keys, credentials of outside systems, plans, usage and the audit log.',
  config: AccountsConfig,
  routes: [],
  handlers: [keepChange, keepRead],
  jobs: [sealAudit],
  migrations: [peopleAndSessions, organizationsAndMembers, audit],
  states: [organizationCreated, organizationUpdated, memberInvited, memberJoined, memberChanged, memberRemoved, keyChanged],
  open: openApp,
})
