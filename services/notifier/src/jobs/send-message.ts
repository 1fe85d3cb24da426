import { setTimeout as wait } from 'node:timers/promises'
import { connectionReported, messageFailed, messageSent } from '@parley/contracts'
import {
  type CommitTools,
  type EffectOutcome,
  type EffectResult,
  type EffectSpec,
  type JobContext,
  prepareAndPerform,
  RetryLater,
  type Tx,
  wasIntended,
} from '@parley/runtime'
import { z } from 'zod'
import { type App, job } from '../app.ts'
import { markUnauthorised } from '../db/channels.ts'
import {
  beginAttempt,
  findNextOutgoing,
  hasPending,
  markFailed,
  markSent,
  type NextOutgoing,
  parkMessage,
  readObjections,
} from '../db/outgoing-messages.ts'
import type { DB } from '../db/types.ts'
import type { PacedChannel } from '../pace.ts'
import { effectOfSend, type Failure, failureOf, type SendOutcome } from '../rules/outcomes.ts'
import { planSend } from '../rules/send-plan.ts'
import { stopBeforeSend } from '../rules/stop-before-send.ts'
import { callGateway, type GatewayCall, lookUpAtGateway } from '../send-whatsapp.ts'

const SendMessage = z.object({
  /** Which chat, by its digest. */
  chat: z.string(),
  /** True when nobody else asks for this chat's next message: the run then asks for itself. */
  goOn: z.boolean(),
})
type Context = JobContext<App, DB, z.infer<typeof SendMessage>>
type Message = NextOutgoing['message']
type UsableChannel = NonNullable<NextOutgoing['channel']>

/**
 * Sends the oldest message of a chat that still has to go out. A run is asked for with each message, and each run settles one:
 * so a chat's messages go out in the order in which they were asked for, even when the run of an earlier one waits for its
 * next try and a later one's comes first.
 */
export const sendMessage = job(
  'send-message',
  SendMessage,
  {
    policy: 'singleton',
    outward: true,
    concurrency: 32,
    expireSeconds: 60,
    retryLimit: 11,
    retryDelaySeconds: 2,
    retryDelayMaxSeconds: 120,
  },
  async (run) => {
    const { app } = run
    let found: Found | undefined
    // Nearly always nothing stands in the way and the channel's pace lets it go at once: then all this is one transaction.
    const outcome = await sending(run, async (tx) => {
      found = await findSend(tx, run)
      return found?.kind === 'ready' && app.pacer.takeDue(found.paced) ? found.send : undefined
    })
    if (outcome !== 'nothing to do' || found === undefined) return
    const { context, message } = found
    if (found.kind === 'failed') return fail(context, message, found.failure, found.detail)
    if (found.kind === 'parked') return park(context, message, false)

    const slot = await app.pacer.take(found.paced)
    if ('tooFarMs' in slot) return comeBack(context, slot.tooFarMs)
    await wait(slot.waitMs, undefined, { signal: context.signal })
    const { send } = found
    await sending(run, async () => send)
  },
)

/** What a chat's oldest pending message needs. Its chain is its own: the run need not be the one that was asked for with it. */
type Found = { context: Context; message: Message } & (
  | { kind: 'failed'; failure: Failure; detail: string }
  /** Nothing can go out before somebody sets a new token, and that asks for every waiting chat again (reliability.md F21). */
  | { kind: 'parked' }
  | { kind: 'ready'; send: Send; paced: PacedChannel }
)

interface Send {
  context: Context
  channel: UsableChannel
  call: GatewayCall
}

async function findSend(tx: Tx<DB>, run: Context): Promise<Found | undefined> {
  const next = await findNextOutgoing(tx, run.organizationId, run.data.chat)
  if (next === undefined) return undefined
  const { message, channel } = next
  const context = run.onBehalfOf(message.correlationId ?? run.correlationId)
  const failed = (failure: Failure, detail: string): Found => ({ kind: 'failed', context, message, failure, detail })
  if (channel === undefined) return failed('unreachable', `No channel is set up for account ${message.accountId}.`)
  if (channel.status === 'disabled') return failed('unreachable', 'The channel is disabled.')
  if (channel.status === 'unauthorised') {
    // What must not go out any more does not wait for a token, unless it may have gone out already.
    const stop = stopBeforeSend(await readObjections(tx, run.organizationId, message))
    if (stop !== null && !(await wasIntended(tx, run.organizationId, effectKey(message)))) return failed(stop, stopped[stop])
    return { kind: 'parked', context, message }
  }

  const plan = planSend(message)
  if (plan.kind === 'impossible') return failed('refused', plan.reason)
  const paced = { ...channel, perSecond: channel.perSecond ?? run.app.defaultPerSecond }
  const call = { message, plan, client: run.app.clients.get(channel) }
  return { kind: 'ready', context, message, paced, send: { context, channel, call } }
}

/** Sends what `prepare` gives, in the transaction that notes the intent; a token that is refused makes the channel wait. */
async function sending(
  run: Context,
  prepare: (tx: Tx<DB>) => Promise<Send | undefined>,
): Promise<Awaited<ReturnType<typeof prepareAndPerform>>> {
  let send: Send | undefined
  let effect: ReturnType<typeof effectOf> | undefined
  try {
    return await prepareAndPerform<App, DB, z.infer<typeof SendMessage>>(run, async (tx) => {
      send = await prepare(tx)
      if (send === undefined) return undefined
      effect = effectOf(send)
      return { context: send.context, spec: effect.spec }
    })
  } catch (error) {
    if (send === undefined || !effect?.isTokenRefused() || !(error instanceof RetryLater)) throw error
    await refuseToken(send.context, send.channel, send.call.message, error)
    return 'settled before'
  }
}

function effectOf({ context, channel, call }: Send): { spec: EffectSpec<DB>; isTokenRefused(): boolean } {
  const { message } = call
  let lastSend: SendOutcome['outcome'] | null = null
  let tokenRefused = false
  let stop: Failure | null = null

  const spec: EffectSpec<DB> = {
    key: effectKey(message),
    kind: 'whatsapp.send',
    target: message.chatDigest,
    request: { accountId: message.accountId, chat: message.chatDigest, plan: call.plan, quickReplies: message.quickReplies },
    whenAbsent: { callAgainAfterMs: context.app.listLagMs },
    async before(tx) {
      const attempt = await beginAttempt(tx, context.organizationId, message.id)
      if (attempt === undefined) return { stop: 'It was settled meanwhile.' }
      stop = stopBeforeSend(attempt)
      return stop === null ? 'go' : { stop: stopped[stop] }
    },
    async call(signal): Promise<EffectOutcome> {
      const answer = await callGateway(call, { headers: context.traceHeaders, signal })
      lastSend = answer.outcome
      tokenRefused = answer.outcome === 'unauthorised'
      return effectOfSend(answer)
    },
    async lookUp(since) {
      const found = await lookUpAtGateway(call, since, context)
      tokenRefused = found.tokenRefused
      return found.outcome
    },
    settle,
  }
  return { spec, isTokenRefused: () => tokenRefused }

  async function settle(tx: Tx<DB>, tools: CommitTools, result: EffectResult): Promise<void> {
    const { organizationId } = context
    const { id: messageId, conversationId } = message
    if (result.state === 'done') {
      const sent = { providerMessageId: result.reference, sentAt: result.at, foundByLookup: result.foundByLookup }
      if (await markSent(tx, organizationId, messageId, sent)) {
        tools.emit(messageSent, { conversationId, messageId, ...sent, sentAt: result.at.toISOString() })
        reportUse(tools, context, channel)
      }
    } else if (tokenRefused && result.state === 'refused') {
      // The last try met a refused token: that is not the message's end, its next effect begins with the next token.
      if (await markUnauthorised(tx, organizationId, channel, result.message)) {
        reportRefusal(tools, context, channel, result.message)
      }
      await parkMessage(tx, organizationId, messageId, result.message, true)
      return
    } else {
      const failure = result.state === 'stopped' ? stop : failureOf(result.state, lastSend)
      if (failure !== null) await recordFailure(tx, tools, context, message, failure, result.message)
    }
    await goOn(tx, tools, context, result.state !== 'done')
  }
}

/** Each round, which a person or a new token begins, is an effect of its own. */
const effectKey = ({ id, round }: Message) => (round === 1 ? `send:${id}` : `send:${id}:${round}`)

const stopped: Record<'overtaken_by_person' | 'no_consent', string> = {
  overtaken_by_person: 'A person wrote in the conversation, took it over or closed it before it went out.',
  no_consent: 'The customer said stop before it went out.',
}

/** The provider no longer takes our token: the channel waits for a new one, and its messages with it. One line says so, once. */
async function refuseToken(context: Context, channel: UsableChannel, message: Message, error: RetryLater): Promise<void> {
  const first = await context.commit(async (tx, tools) => {
    const isFirst = await markUnauthorised(tx, context.organizationId, channel, error.message)
    if (isFirst) reportRefusal(tools, context, channel, error.message)
    return isFirst
  })
  if (first) {
    context.log.error(
      { organizationId: context.organizationId, accountId: channel.accountId },
      'the provider refuses the token of a channel: nothing goes out there until it gets a new one',
    )
  }
  // When the token has been replaced since, the next try has the new one; else the replacement will ask for this chat.
  const now = await context.read((tx) => findNextOutgoing(tx, context.organizationId, context.data.chat))
  if (now?.channel?.status === 'active') throw error
  await park(context, message, false)
}

/** Says to whom the connection belongs that its token is refused, so that its owner hears of it. */
function reportRefusal({ emit }: CommitTools, { app }: Context, { connectionId }: UsableChannel, detail: string): void {
  if (connectionId === null) return
  const at = app.now().toISOString()
  emit(connectionReported, { connectionId, outcome: 'refused', detail: detail.slice(0, 1_000), rateLimit: null, at })
}

/** Says now and then that a connection works: for each message it would be as many events again as there are messages. */
function reportUse({ emit }: CommitTools, { app }: Context, { connectionId, tokenVersion }: UsableChannel): void {
  if (connectionId === null || !app.useReports.isDue(`${connectionId} ${tokenVersion}`)) return
  emit(connectionReported, { connectionId, outcome: 'ok', detail: null, rateLimit: null, at: app.now().toISOString() })
}

async function park(context: Context, message: Message, newEffect: boolean): Promise<void> {
  const note = 'The provider refuses the token of the channel; waiting for a new one.'
  await context.commit((tx) => parkMessage(tx, context.organizationId, message.id, note, newEffect))
}

/** A busy channel is no failure: the run ends well, and another one comes when there is room. */
async function comeBack(context: Context, afterMs: number): Promise<void> {
  const startAfter = new Date(context.app.now().getTime() + afterMs)
  await context.commit(async (_tx, { later }) => later(sendMessage, context.data, { key: context.data.chat, startAfter }))
}

async function fail(context: Context, message: Message, failure: Failure, detail: string): Promise<void> {
  await context.commit(async (tx, tools) => {
    await recordFailure(tx, tools, context, message, failure, detail)
    await goOn(tx, tools, context, true)
  })
}

async function recordFailure(
  tx: Tx<DB>,
  tools: CommitTools,
  context: Context,
  message: Message,
  failure: Failure,
  detail: string,
): Promise<void> {
  const state = failure === 'overtaken_by_person' || failure === 'no_consent' ? 'dropped' : 'failed'
  const lastError = detail.slice(0, 1_024).toWellFormed()
  if (!(await markFailed(tx, context.organizationId, message.id, { state, failure, lastError }))) return
  tools.emit(messageFailed, {
    conversationId: message.conversationId,
    messageId: message.id,
    reason: failure,
    detail: lastError,
    failedAt: context.app.now().toISOString(),
  })
}

/** After a failure, the messages behind it get a run with tries of its own: theirs were used up waiting. */
async function goOn(tx: Tx<DB>, { later }: CommitTools, context: Context, failed: boolean): Promise<void> {
  const { chat } = context.data
  if (!failed && !context.data.goOn) return
  if (await hasPending(tx, context.organizationId, chat)) later(sendMessage, { chat, goOn: true }, { key: chat })
}
