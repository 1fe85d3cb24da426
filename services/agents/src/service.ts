import { connectionReported, replyProposed, turnTaken } from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { AgentsConfig, openApp } from './app.ts'
import { adoptConnection } from './handlers/adopt-connection.ts'
import { eraseCustomer } from './handlers/erase-customer.ts'
import { hushConversation } from './handlers/hush-conversation.ts'
import { noteAllowance } from './handlers/note-allowance.ts'
import { noteMessageAdded } from './handlers/note-message.ts'
import { noteMessageUpdated } from './handlers/note-update.ts'
import { eraseEvents } from './jobs/erase-events.ts'
import { takeTurn } from './jobs/take-turn.ts'
import { agentsAndTurns } from './migrations/001-agents-and-turns.ts'
import { monthlySpend } from './migrations/002-monthly-spend.ts'
import { modelConnections } from './migrations/003-model-connections.ts'
import { customersStopped } from './migrations/004-customers-stopped.ts'
import { turnsByOutcome } from './migrations/005-turns-by-outcome.ts'
import { wordsChange } from './migrations/006-words-change.ts'
import { quotes } from './migrations/007-quotes.ts'
import { getAgent, getAgents, patchAgent } from './routes/agents.ts'
import { getTurn, getTurns } from './routes/turns.ts'
import { getAiUsage } from './routes/usage.ts'

export const agents = defineService({
  name: 'agents',
  summary: 'Talks for the business: reads what customers wrote, lets a model draft, decides by rules, hands over in doubt.',
  config: AgentsConfig,
  routes: [getAgents, getAgent, patchAgent, getTurns, getTurn, getAiUsage],
  handlers: [adoptConnection, noteAllowance, noteMessageAdded, noteMessageUpdated, hushConversation, eraseCustomer],
  jobs: [takeTurn, eraseEvents],
  migrations: [agentsAndTurns, monthlySpend, modelConnections, customersStopped, turnsByOutcome, wordsChange, quotes],
  states: [turnTaken, replyProposed, connectionReported],
  open: openApp,
  close: (app) => app.close(),
})
