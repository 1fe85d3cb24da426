import { Id, WrittenText } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { commitForAll } from '../as-installation.ts'
import { endSessions } from '../db/sessions.ts'
import { lockUser, updateUser } from '../db/users.ts'
import { assertOperator } from './operator.ts'

/**
 * A person may be in several organizations, so none of these suspends them: an organization suspends its member. Whoever is suspended here
 * is out everywhere within seconds and comes in by no way until they are active again.
 */
export const patchOperatorPerson = route({
  method: 'PATCH',
  path: '/v1/operator/people/:userId',
  summary: 'Suspend a person, who is then out everywhere, or let them in again; or only end their sessions (operator).',
  scope: 'ops:write',
  refuses: { not_found: 'There is no such person.' },
  params: z.strictObject({ userId: Id }),
  body: z.strictObject({
    status: z.enum(['active', 'suspended']),
    endSessions: z.boolean().default(false).describe('Also of somebody who stays active; a suspension always does.'),
    reason: WrittenText(500),
  }),
  reply: z.object({ userId: Id, status: z.enum(['active', 'suspended']), sessionsEnded: z.int() }),
  async run({ params: { userId }, body: { status, endSessions: endThem, reason }, ...call }) {
    assertOperator(call.caller)
    return commitForAll(call, { action: 'PATCH /v1/operator/people/:userId' }, async (tx, tools) => {
      const before = await lockUser(tx, userId)
      if (before === undefined) throw new AppError('not_found', 'There is no such person.')
      if (before.status !== status) await updateUser(tx, userId, { status })
      const at = call.app.now()
      const why = status === 'suspended' ? 'suspended' : 'revoked'
      const ended =
        status === 'suspended' || endThem ? await endSessions(tx, tools, userId, { except: null }, { reason: why, at }) : []
      if (before.status !== status || ended.length > 0) {
        const after = { status, sessionsEnded: ended.length }
        tools.audit({ resourceType: 'user', resourceId: userId, before: { status: before.status }, after, reason })
      }
      return { userId, status, sessionsEnded: ended.length }
    })
  },
})
