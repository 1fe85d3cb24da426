import { type CallOptions, typedFallback, type Whapi } from '@parley/providers/whapi'
import type { EffectOutcome, JobContext } from '@parley/runtime'
import type { App } from './app.ts'
import { claimedProviderIds, type NextOutgoing } from './db/outgoing-messages.ts'
import type { DB } from './db/types.ts'
import { clockDoubtMs, isOurSend } from './rules/look-up-match.ts'
import { effectOfLookUp, type SendOutcome } from './rules/outcomes.ts'
import type { SendPlan } from './rules/send-plan.ts'

/** A message, how it goes out, and through what. */
export interface GatewayCall {
  message: NextOutgoing['message']
  plan: Exclude<SendPlan, { kind: 'impossible' }>
  client: Whapi
}

/**
 * Sends through the gateway. Buttons that it refuses go out as a text with numbered lines: the vendor calls buttons unstable
 * (providers.md §1 gotcha 8), and a refusal is its word that nothing was sent.
 */
export async function callGateway({ message, plan, client }: GatewayCall, options: CallOptions): Promise<SendOutcome> {
  const recipient = { to: message.chatId, quoted: message.replyToProviderMessageId ?? undefined }
  const { quickReplies } = message
  if (plan.kind === 'media') {
    const { attachment } = message
    return client.sendMedia(
      {
        ...recipient,
        kind: plan.media,
        media: plan.source,
        mimeType: attachment?.mimeType ?? undefined,
        fileName: attachment?.fileName ?? undefined,
        caption: plan.caption === null ? undefined : typed(plan.caption, plan.typed, quickReplies),
      },
      options,
    )
  }
  if (plan.kind === 'text') return client.sendText({ ...recipient, text: typed(plan.text, plan.typed, quickReplies) }, options)
  const withButtons = await client.sendQuickReplies({ ...recipient, text: plan.text, quickReplies }, options)
  if (withButtons.outcome !== 'refused') return withButtons
  return client.sendText({ ...recipient, text: typedFallback(plan.text, quickReplies) }, options)
}

/** Looks for a message whose send was never answered. */
export async function lookUpAtGateway(
  call: GatewayCall,
  intendedAt: Date,
  context: JobContext<App, DB, unknown>,
): Promise<{ outcome: EffectOutcome | { outcome: 'absent' }; tokenRefused: boolean }> {
  const { message, plan, client } = call
  const since = new Date(intendedAt.getTime() - clockDoubtMs)
  // The gateway counts whole seconds, so a message it dates just before `since` may be listed: claims reach a little further back.
  const claimedSince = new Date(since.getTime() - 60_000)
  const claimed = await context.read((tx) => claimedProviderIds(tx, context.organizationId, message, claimedSince))
  const expected = { texts: wordings(plan, message.quickReplies), mediaType: plan.kind === 'media' ? plan.media : null, claimed }
  const found = await client.findSent(
    { chatId: message.chatId, since, matches: (listed) => isOurSend(listed, expected) },
    { headers: context.traceHeaders, signal: context.signal },
  )
  return { outcome: effectOfLookUp(found), tokenRefused: found.outcome === 'unauthorised' }
}

/** Every wording in which a plan may have gone out. */
function wordings(plan: GatewayCall['plan'], quickReplies: NextOutgoing['message']['quickReplies']): string[] {
  if (plan.kind === 'buttons') return [plan.text, typedFallback(plan.text, quickReplies)]
  const text = plan.kind === 'media' ? plan.caption : plan.text
  return text === null ? [] : [typed(text, plan.typed, quickReplies)]
}

function typed(text: string, showChoices: boolean, quickReplies: NextOutgoing['message']['quickReplies']): string {
  return showChoices ? typedFallback(text, quickReplies) : text
}
