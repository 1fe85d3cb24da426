import { Id, WrittenText } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { route } from '../app.ts'
import { type Agent, type AgentChange, changeAgent, ensureDefaultAgent, findAgent, listAgents, lockAgent } from '../db/agents.ts'
import { languages } from '../rules/sentences.ts'

const Tone = z.enum(['professional', 'friendly', 'casual', 'formal', 'empathetic'])
const Status = z.enum(['active', 'inactive', 'draft'])

const AgentView = z.object({
  id: Id,
  isDefault: z.boolean(),
  name: z.string(),
  description: z.string(),
  tone: Tone,
  language: z.enum(languages),
  instructions: z.string(),
  welcomeMessage: z.string().nullable(),
  model: z.string().nullable(),
  maxTokens: z.int().nullable(),
  confidenceThreshold: z.number(),
  quietMs: z.int().nullable(),
  allowedLinkHosts: z.array(z.string()),
  status: Status,
  version: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
})

const hostName = z
  .string()
  .toLowerCase()
  .max(253)
  .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'must be a host name such as shop.example')

const AgentChanges = z.strictObject({
  name: WrittenText(100).optional(),
  description: z.string().max(8_000).optional().describe('What the shop is: the model reads it as facts that it may repeat.'),
  tone: Tone.optional(),
  language: z.enum(languages).optional().describe("Spoken when the customer's language is unclear."),
  instructions: z
    .string()
    .max(8_000)
    .optional()
    .describe('Added to the prompt. No secrets: a model can be talked into repeating it.'),
  welcomeMessage: WrittenText(1_000).nullable().optional(),
  model: z.string().min(1).max(128).nullable().optional().describe("One of the operator's models; null: the default."),
  maxTokens: z.int().min(64).max(4_096).nullable().optional().describe("The longest answer; null: the operator's default."),
  confidenceThreshold: z.number().min(0).max(1).optional().describe('Below it a person answers.'),
  quietMs: z.int().min(0).max(60_000).nullable().optional().describe('How long a customer must be quiet before the answer.'),
  allowedLinkHosts: z.array(hostName).max(50).optional().describe('Links to these hosts and below may stay in answers.'),
  status: Status.optional().describe('An agent that is not active says nothing.'),
})

const OneAgent = z.strictObject({ id: Id })

export const getAgents = route({
  method: 'GET',
  path: '/v1/agents',
  summary: 'The agents that talk for the organization, the default one first; it is made when there is none.',
  scope: 'agents:read',
  query: z.strictObject(pageQuery),
  reply: pageOf(AgentView),
  async run({ query: { page, limit }, caller, read, commit }) {
    const slice = { limit, offset: (page - 1) * limit }
    const known = await read((tx) => listAgents(tx, caller.organizationId, slice))
    if (known.total > 0) return { items: known.items.map(view), page, limit, total: known.total }
    const newId = randomUUIDv7()
    const made = await commit(async (tx, { audit }) => {
      const agent = await ensureDefaultAgent(tx, caller.organizationId, newId)
      if (agent.id === newId) {
        audit({ resourceType: 'agent', resourceId: newId, before: null, after: { name: agent.name, isDefault: true } })
      }
      return agent
    })
    return { items: page === 1 ? [view(made)] : [], page, limit, total: 1 }
  },
})

export const getAgent = route({
  method: 'GET',
  path: '/v1/agents/:id',
  summary: 'One agent.',
  scope: 'agents:read',
  refuses: { not_found: 'No agent with that id.' },
  params: OneAgent,
  reply: AgentView,
  async run({ params, caller, read }) {
    const agent = await read((tx) => findAgent(tx, caller.organizationId, params.id))
    if (!agent) throw new AppError('not_found', 'No agent with that id.')
    return view(agent)
  },
})

export const patchAgent = route({
  method: 'PATCH',
  path: '/v1/agents/:id',
  summary: 'Change an agent; what is left out stays as it is. Turns that begin later use the new settings.',
  scope: 'agents:write',
  refuses: { not_found: 'No agent with that id.' },
  params: OneAgent,
  body: AgentChanges,
  reply: AgentView,
  async run({ params, body, caller, app, commit }) {
    if (Object.keys(body).length === 0) throw new AppError('invalid', 'The body changes nothing.')
    if (typeof body.model === 'string' && !app.models.names.includes(body.model)) {
      throw new AppError('invalid', 'model: not one that the operator offers.', { details: { offered: app.models.names } })
    }
    const change = given(body)
    const agent = await commit(async (tx, { audit }) => {
      const before = await lockAgent(tx, caller.organizationId, params.id)
      const changed = before && (await changeAgent(tx, caller.organizationId, params.id, change))
      if (!changed) throw new AppError('not_found', 'No agent with that id.')
      const fields = Object.keys(change) as (keyof Agent)[]
      const only = (agent: Agent) => Object.fromEntries(fields.map((field) => [field, agent[field]]))
      audit({ resourceType: 'agent', resourceId: params.id, before: only(before), after: only(changed) })
      return changed
    })
    return view(agent)
  },
})

/** Only what the caller named: an absent field must not become null. */
function given(body: z.infer<typeof AgentChanges>): AgentChange {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
}

function view(agent: Agent): z.infer<typeof AgentView> {
  const { organizationId: _o, createdAt, updatedAt, ...shown } = agent
  return { ...shown, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
}
