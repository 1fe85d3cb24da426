import { defineService } from '@parley/runtime'
import { AccountsConfig, openApp } from './app.ts'

export const accounts = defineService({
  name: 'accounts',
  summary: 'Who may do what: organizations, people, keys, credentials of outside systems, plans, usage and the audit log.',
  config: AccountsConfig,
  routes: [],
  handlers: [],
  jobs: [],
  migrations: [],
  states: [],
  open: openApp,
})
