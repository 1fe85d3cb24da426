/** A message of ours as the gateway lists it. */
export interface ListedMessage {
  id: string
  type: string
  text: string | null
}

export interface Expected {
  /** Every wording in which it may have gone out: as buttons, and with the choices as numbered lines. Empty: a file without words. */
  texts: readonly string[]
  /** The gateway's message type of the file, or null for a message of words alone. */
  mediaType: string | null
  /** Provider ids that other messages of ours have already. */
  claimed: ReadonlySet<string>
}

/** How far the two clocks may disagree when asking what went out since the attempt. */
export const clockDoubtMs = 5_000

/**
 * Whether a listed message is the one whose send was never answered. Same words twice in a chat are two messages, so an id
 * that is claimed already never matches; sends of one chat happen one after another, which makes the rest unambiguous.
 */
export function isOurSend(message: ListedMessage, expected: Expected): boolean {
  if (expected.claimed.has(message.id)) return false
  if (expected.mediaType !== null && !sameMedia(message.type, expected.mediaType)) return false
  if (expected.texts.length === 0) return message.text === null || message.text === ''
  return message.text !== null && expected.texts.some((text) => sameWords(text, message.text as string))
}

// WhatsApp turns a short clip into a gif and a recorded audio into a voice note.
function sameMedia(listed: string, sent: string): boolean {
  return listed === sent || (sent === 'video' && listed === 'gif') || (sent === 'audio' && listed === 'voice')
}

// WhatsApp trims messages and may normalise line ends and composed letters.
function sameWords(sent: string, listed: string): boolean {
  return plain(sent) === plain(listed)
}

function plain(text: string): string {
  return text.normalize('NFC').replace(/\r\n?/g, '\n').trim()
}
