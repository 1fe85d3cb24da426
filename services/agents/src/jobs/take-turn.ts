import { Id } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { job, mostTurnsAtOnce } from '../app.ts'
import { noteModelFailure } from '../db/conversations.ts'
import { commitReserving, settleSpend } from '../db/spend.ts'
import type { DB } from '../db/types.ts'
import { nextTryMs } from '../rules/caps.ts'
import { decideTurn, decideWithoutProposal } from '../rules/decide-turn.ts'
import { askModel } from '../steps/ask-model.ts'
import { claimTurn } from '../steps/claim-turn.ts'
import { type FinishedTurn, finishTurn } from '../steps/finish-turn.ts'
import { reportModel } from '../steps/report-model.ts'

/**
 * Answers everything that waits in a conversation, once the customer is quiet. One run per conversation at a time and one more
 * waiting: what arrives while the model thinks is the next turn. When it is too early, or the model is away, the run asks for
 * another one and ends well: a failed run would compete with the waiting one for the one place that a key has.
 */
export const takeTurn = job(
  'take-turn',
  z.strictObject({ conversationId: Id }),
  // A turn asks at most twice, each time with two tries of 20 s at the most.
  {
    policy: 'stately',
    outward: true,
    concurrency: mostTurnsAtOnce,
    expireSeconds: 100,
    retryLimit: 8,
    retryDelaySeconds: 1,
    retryDelayMaxSeconds: 60,
  },
  async ({ data, organizationId, app, commit, finish, signal, traceHeaders, log }) => {
    const { conversationId } = data
    const startedAt = performance.now()
    const passedMs = () => Math.round(performance.now() - startedAt)

    const end = async (tx: Tx<DB>, tools: CommitTools, finished: FinishedTurn) => {
      const { isOvertaken } = await finishTurn(tx, tools, app, organizationId, finished)
      if (isOvertaken) tools.later(takeTurn, data, { key: conversationId, startAfter: app.now() })
    }

    const ids = { turn: randomUUIDv7(), reservation: randomUUIDv7(), agent: randomUUIDv7() }
    const { result: claim, isReserved } = await commitReserving(commit, organizationId, async (tx, tools) => {
      const claimed = await claimTurn(tx, app, { organizationId, conversationId, ids })
      if (claimed.kind === 'later') tools.later(takeTurn, data, { key: conversationId, startAfter: claimed.at })
      if (claimed.kind === 'decided') {
        await end(tx, tools, { ...claimed, asked: null, durationMs: passedMs() })
      }
      return { result: claimed, wanted: claimed.kind === 'ask' ? claimed.reservation : null }
    })
    if (claim.kind !== 'ask') return

    const { turn, prompt, reservation, choice } = claim
    const { id: reservationId, amountMicros: reservedMicros } = reservation
    const { agent } = turn
    if (!isReserved) {
      const decision = decideWithoutProposal('budget_spent', agent, turn.language)
      const spent = { turn, decision, asked: null, durationMs: passedMs(), errorClass: 'budget_spent' }
      await finish((tx, tools) => end(tx, tools, spent))
      return
    }
    const asked = await askModel(choice.model, agent, prompt, { signal, headers: traceHeaders })

    const { AGENTS_MODEL_TRIES: tries, AGENTS_MODEL_RETRY_MS: baseMs } = app.config
    const waitMs = asked.worthWaiting ? nextTryMs(turn.modelFailures + 1, tries, baseMs, asked.retryAfterMs) : null
    if (waitMs !== null) {
      const retryAt = new Date(app.now().getTime() + waitMs)
      log.warn({ conversationId, errorClass: asked.errorClass, retryAt }, 'the model is away; the turn waits')
      return commit(async (tx, tools) => {
        await settleSpend(tx, organizationId, reservationId, asked.costMicros)
        await noteModelFailure(tx, organizationId, conversationId, retryAt)
        reportModel(tools, app, choice, asked)
        tools.later(takeTurn, data, { key: conversationId, startAfter: retryAt })
      })
    }

    const settings = {
      confidenceThreshold: agent.confidenceThreshold,
      allowedHosts: agent.allowedLinkHosts,
      ownerText: `${agent.instructions}\n${agent.description}`,
      language: agent.language,
    }
    const decision = asked.proposal
      ? decideTurn(asked.proposal, prompt, settings, turn.language)
      : decideWithoutProposal(asked.why ?? 'unavailable', agent, turn.language)
    await finish(async (tx, tools) => {
      await end(tx, tools, {
        turn,
        decision,
        asked: { ...asked, prompt, reservationId, reservedMicros, simulated: choice.simulated },
        durationMs: passedMs(),
        errorClass: asked.errorClass,
      })
      reportModel(tools, app, choice, asked)
    })
  },
)
