import { Metric } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { findAllowance } from '../db/allowances.ts'
import { findDayOfSpend, findMonthOfSpend } from '../db/spend.ts'
import { sumTurns } from '../db/turns.ts'
import { budgetAt } from '../rules/allowance.ts'
import { dayOf } from '../rules/caps.ts'

const dayMs = 86_400_000

const AiUsage = z.object({
  /** UTC. */
  day: z.iso.date(),
  capMicros: z.int(),
  /** Set aside for turns under way, at their worst case. */
  reservedMicros: z.int(),
  settledMicros: z.int(),
  remainingMicros: z.int(),
  simulated: z.boolean(),
  turns: z.int(),
  replied: z.int(),
  handedOver: z.int(),
  silent: z.int(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  /** The current month in the organization's own zone, whatever day was asked for. */
  month: z.object({
    month: z.iso.date(),
    /** Null: no limit. */
    capMicros: z.int().nullable(),
    reservedMicros: z.int(),
    settledMicros: z.int(),
    remainingMicros: z.int().nullable(),
    /** True: no model is asked until the month ends or the plan changes. */
    stopped: z.boolean(),
    /** What is used up where the plan stops. `messages`: nothing is answered by itself; `customers`: nobody new is. */
    usedUp: z.array(Metric),
  }),
})

export const getAiUsage = route({
  method: 'GET',
  path: '/v1/usage/ai',
  summary: 'What agents have spent on models on one UTC day, today by default, and what is left of the cap.',
  scope: 'agents:read',
  query: z.strictObject({ day: z.iso.date().optional() }),
  reply: AiUsage,
  async run({ query, caller, app, read }) {
    const day = query.day ?? dayOf(app.now())
    const from = new Date(`${day}T00:00:00.000Z`)
    const { organizationId } = caller
    const { spend, sums, month } = await read(async (tx) => {
      const { stopped, usedUp, capMicros, month } = budgetAt(await findAllowance(tx, organizationId), app.now())
      const spent = await findMonthOfSpend(tx, organizationId, month)
      const remainingMicros = capMicros && Math.max(0, capMicros - spent.reservedMicros - spent.settledMicros)
      return {
        spend: await findDayOfSpend(tx, organizationId, day),
        sums: await sumTurns(tx, organizationId, from, new Date(from.getTime() + dayMs)),
        month: { month, capMicros, ...spent, remainingMicros, stopped, usedUp },
      }
    })
    const capMicros = app.config.AGENTS_DAILY_CAP_MICROS
    const remainingMicros = Math.max(0, capMicros - spend.reservedMicros - spend.settledMicros)
    return { day, capMicros, ...spend, remainingMicros, simulated: app.models.simulated, ...sums, month }
  },
})
