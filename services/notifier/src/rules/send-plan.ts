import type { Attachment } from '@parley/contracts'

export interface Draft {
  text: string | null
  attachment: Attachment | null
  quickReplies: readonly { id: string; title: string }[]
}

/** Which call carries a message to WhatsApp. `typed`: buttons are shown as numbered lines instead. */
export type SendPlan =
  | { kind: 'text'; text: string; typed: boolean }
  | { kind: 'buttons'; text: string }
  | { kind: 'media'; media: 'image' | 'video' | 'audio' | 'document'; source: string; caption: string | null; typed: boolean }
  | { kind: 'impossible'; reason: string }

/** What WhatsApp can carry (providers.md §1): a caption goes with a file except with audio, buttons go with a text only. */
export function planSend(draft: Draft): SendPlan {
  const text = draft.text?.trim() ? draft.text : null
  if (draft.attachment) return planMedia(draft.attachment, text, draft.quickReplies.length > 0)
  if (text === null) return { kind: 'impossible', reason: 'The message has neither text nor a file.' }
  if (draft.quickReplies.length === 0) return { kind: 'text', text, typed: false }
  return areButtons(draft.quickReplies) ? { kind: 'buttons', text } : { kind: 'text', text, typed: true }
}

function planMedia(attachment: Attachment, text: string | null, hasQuickReplies: boolean): SendPlan {
  const source = attachment.providerMediaId ?? attachment.url
  if (source === null) return { kind: 'impossible', reason: 'attachment: it has neither an address nor a media id.' }
  if (attachment.kind === 'audio') {
    if (text !== null)
      return { kind: 'impossible', reason: 'attachment: audio carries no text on WhatsApp; send them as two messages.' }
    return { kind: 'media', media: 'audio', source, caption: null, typed: false }
  }
  if (hasQuickReplies && text === null)
    return { kind: 'impossible', reason: 'quickReplies: a choice needs a text that asks for it.' }
  return {
    kind: 'media',
    media: attachment.kind === 'file' ? 'document' : attachment.kind,
    source,
    caption: text,
    typed: hasQuickReplies,
  }
}

/** The gateway refuses buttons with a blank title or with one id twice; numbered lines can still show those. */
function areButtons(quickReplies: Draft['quickReplies']): boolean {
  const ids = new Set(quickReplies.map((reply) => reply.id))
  return ids.size === quickReplies.length && quickReplies.every((reply) => reply.title.trim() !== '')
}
