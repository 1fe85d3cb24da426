import type { DataBlock } from './prompt.ts'
import { greetingWords, type Intent, intentStems, type Language, languageWords, moodStems, replies } from './simulator-words.ts'
import { customerBlockName, type TurnAnswer } from './turn-schema.ts'

/**
 * The simulated model's whole mind: word lists, no learning, the same answer to the same question. It knows no order and no
 * policy, so it promises nothing: what it cannot answer from a greeting, a thank-you or a line of the given knowledge goes to a
 * person.
 */
export function answerTurn(data: readonly DataBlock[]): TurnAnswer {
  const said = customerText(data)
  const text = said.toLowerCase().normalize('NFC')
  const language = languageOf(text)
  const intent = intentOf(text)
  const orderNumber = /(?:#|n[°º]\s?|\b)(\d{4,12})\b/.exec(said)
  const known = intent === 'product_question' || intent === 'opening_hours' ? knownLine(data, text, intent) : undefined

  const answersItself = intent === 'greeting' || intent === 'thanks' || known !== undefined
  const needsPerson = !answersItself || language === 'unknown'
  const words = replies[language === 'unknown' ? 'en' : language]
  const order = orderNumber?.[1] ? ` (${orderNumber[1]})` : ''
  const opening = known ?? words[intent].replace('{order}', order)

  return {
    language,
    intent,
    sentiment: has(text, moodStems.negative) ? 'negative' : has(text, moodStems.positive) ? 'positive' : 'neutral',
    facts: orderNumber?.[1] ? [{ name: 'order_number', value: orderNumber[1], quote: orderNumber[0].trim() }] : [],
    reply: needsPerson ? `${opening} ${words.colleague}` : opening,
    quick_replies: [],
    needs_person: needsPerson,
    reason: needsPerson
      ? `Simulated model: ${intent.replaceAll('_', ' ')} needs facts or a decision that it does not have.`
      : null,
    confidence: language === 'unknown' ? 0.3 : intent === 'other' ? 0.5 : 0.9,
  }
}

/** What the customer wrote; the last block stands in when none has the agreed name. */
function customerText(data: readonly DataBlock[]): string {
  const blocks = data.filter(({ name }) => name === customerBlockName || name.startsWith(`${customerBlockName}_`))
  return (blocks.length > 0 ? blocks : data.slice(-1)).map(({ text }) => text).join('\n')
}

function languageOf(text: string): Language {
  if (/\p{Script=Arabic}/u.test(text)) return 'ar'
  const words = new Set(text.match(/[\p{L}]+/gu) ?? [])
  let best: Language = 'unknown'
  let most = 0
  for (const [language, known] of Object.entries(languageWords) as [Language, readonly string[]][]) {
    const found = known.filter((word) => words.has(word)).length
    if (found > most) {
      best = language
      most = found
    }
  }
  return best
}

function intentOf(text: string): Intent {
  const found = intentStems.find(([, stems]) => has(text, stems))
  if (found) return found[0]
  const words = text.match(/[\p{L}]+/gu) ?? []
  return words.some((word) => greetingWords.includes(word)) ? 'greeting' : 'other'
}

function has(text: string, stems: readonly string[]): boolean {
  return stems.some((stem) => text.includes(stem))
}

const knowledgeBlock = /^(knowledge|faq|business|documents?)/

/** The line of the knowledge blocks that speaks of the same thing, word for word: quoted, never made up. */
function knownLine(data: readonly DataBlock[], text: string, intent: Intent): string | undefined {
  const stems = intentStems.find(([name]) => name === intent)?.[1] ?? []
  const asked = new Set((text.match(/[\p{L}\d]{4,}/gu) ?? []).filter((word) => !has(word, stems)))
  const lines = data.filter(({ name }) => knowledgeBlock.test(name)).flatMap((block) => block.text.split('\n'))
  let best: string | undefined
  let most = 0
  for (const line of lines) {
    const lower = line.toLowerCase()
    const score =
      (has(lower, stems) ? 1 : 0) + 2 * (lower.match(/[\p{L}\d]{4,}/gu) ?? []).filter((word) => asked.has(word)).length
    if (score > most) {
      best = line.trim().slice(0, 1_000)
      most = score
    }
  }
  return best
}
