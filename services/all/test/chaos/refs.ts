import type { ModelCall, Reply } from '@parley/providers/model'

/**
 * A message's own word, which the simulated model repeats in its answer: so the phone's book tells which messages were answered,
 * and how often. Letters only: digits could be taken for a telephone number and be masked.
 */
export function refOf(number: number): string {
  let rest = number
  let letters = ''
  for (let i = 0; i < 6; i++) {
    letters = String.fromCharCode(97 + (rest % 26)) + letters
    rest = Math.floor(rest / 26)
  }
  return `zq${letters}`
}

export function refsIn(text: string | null): string[] {
  return text?.match(/\bzq[a-z]{6}\b/g) ?? []
}

/** The model's mind in these runs: it answers whatever is asked by its refs, and never hands over. */
export function answerByRefs(call: ModelCall): Reply {
  const asked = call.data.filter(({ name }) => name === 'customer' || name.startsWith('customer_')).map(({ text }) => text)
  const refs = [...new Set(asked.flatMap(refsIn))]
  const answer = {
    language: 'fr',
    intent: 'greeting',
    sentiment: 'neutral',
    facts: [],
    reply: `Bonjour ! Bien lu : ${refs.join(' ') || 'un message'}`,
    quick_replies: [],
    needs_person: false,
    reason: null,
    confidence: 0.95,
  }
  return { content: JSON.stringify(answer) }
}
