import { z } from 'zod'
import { route } from '../app.ts'
import { findDayOfSpend } from '../db/spend.ts'
import { sumTurns } from '../db/turns.ts'
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
    const { spend, sums } = await read(async (tx) => ({
      spend: await findDayOfSpend(tx, caller.organizationId, day),
      sums: await sumTurns(tx, caller.organizationId, from, new Date(from.getTime() + dayMs)),
    }))
    const capMicros = app.config.AGENTS_DAILY_CAP_MICROS
    const remainingMicros = Math.max(0, capMicros - spend.reservedMicros - spend.settledMicros)
    return { day, capMicros, ...spend, remainingMicros, simulated: app.simulated, ...sums }
  },
})
