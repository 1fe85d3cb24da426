/** A button under a message: `id` comes back to us, `title` is what the customer sees. */
export interface QuickReply {
  id: string
  title: string
}

const maxButtons = 3
const maxTitleLength = 25

/** Throws RangeError naming the field. Sources of the limits: providers.md §1. */
export function checkQuickReplies(quickReplies: readonly QuickReply[]): void {
  if (quickReplies.length < 1 || quickReplies.length > maxButtons) {
    throw new RangeError(`quickReplies: give 1 to ${maxButtons}, not ${quickReplies.length}.`)
  }
  for (const [index, { id, title }] of quickReplies.entries()) {
    if (id === '') throw new RangeError(`quickReplies[${index}].id: must not be empty.`)
    if (title.trim() === '') throw new RangeError(`quickReplies[${index}].title: must not be empty.`)
    if (title.length > maxTitleLength)
      throw new RangeError(`quickReplies[${index}].title: longer than ${maxTitleLength} characters.`)
    const earlier = quickReplies.findIndex((other) => other.id === id)
    if (earlier !== index) throw new RangeError(`quickReplies[${index}].id: the same as quickReplies[${earlier}].id.`)
  }
}

/**
 * A text that also works where WhatsApp does not show buttons (providers.md §1 gotcha 8): the choices follow as numbered lines.
 * Without choices the text is returned as it is.
 */
export function typedFallback(text: string, quickReplies: readonly QuickReply[]): string {
  if (quickReplies.length === 0) return text
  return `${text}\n\n${quickReplies.map(({ title }, index) => `${index + 1}. ${title}`).join('\n')}`
}

/**
 * The choice that a customer typed instead of pressing: its number ("2", "2.", "2)", "٢", "2️⃣"), its title in any case, or
 * both as we printed them. Undefined for anything else, also for a title that two choices share: a guess would put words in
 * the customer's mouth.
 */
export function readTypedChoice<Option extends QuickReply>(text: string, options: readonly Option[]): Option | undefined {
  const typed = normalise(text)
  if (typed === '') return undefined
  const number = /^[([#]?(\d{1,2})[)\]:-]?$/.exec(typed)
  const titled = options.filter((option) => normalise(option.title) === typed)
  // A title that is itself a number ("40") is what the customer read on the button, so it goes before the position.
  if (titled.length > 0) return titled.length === 1 ? titled[0] : undefined
  if (number) return options[Number(number[1]) - 1]
  return options.find((option, index) => {
    const title = normalise(option.title)
    return typed === `${index + 1}. ${title}` || typed === `${index + 1} ${title}` || typed === `${index + 1}) ${title}`
  })
}

/** Case, width, Arabic-Indic digits, keycap emoji, surrounding quotes and final punctuation do not change a choice. */
function normalise(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x0660))
    .replace(/[\u06F0-\u06F9]/g, (digit) => String(digit.charCodeAt(0) - 0x06f0))
    .replace(/[\uFE0F\u20E3\u200E\u200F]/g, '')
    .trim()
    .replace(/^["'«“‘*_]+|["'»”’*_.!؟?،,;]+$/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase()
}
