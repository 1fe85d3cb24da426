import { cleanText, clipText, foldText } from './clean-text.ts'
import { hasPlaceholder, type MaskedValue, unmask } from './masking.ts'
import { asksForPerson } from './person-wish.ts'
import { findPromise } from './promises.ts'
import { topicOf } from './risky-words.ts'
import { type ReplyFault, sanitiseReply } from './sanitise-reply.ts'
import { pickLanguage, type SentenceKind, sentence } from './sentences.ts'

/** What a model proposes for a turn, already checked against its schema. */
export interface Proposal {
  language: string
  intent: string
  sentiment: 'positive' | 'neutral' | 'negative'
  facts: readonly Fact[]
  reply: string | null
  quick_replies: readonly { id: string; title: string }[]
  needs_person: boolean
  reason: string | null
  confidence: number
}

/** Something the customer stated, with the words that say so. */
export interface Fact {
  name: string
  value: string
  quote: string
}

/** Why there is no proposal to decide on. */
export type NoProposal =
  | 'invalid'
  | 'refused'
  | 'unavailable'
  | 'budget_spent'
  | 'turns_per_day'
  | 'bot_loop'
  | 'customers_used_up'

/** Why a person takes over without a word to the customer. */
export type QuietHandover = 'messages_used_up' | 'came_too_late'

export interface TurnSettings {
  /** Below it a person answers. */
  confidenceThreshold: number
  allowedHosts: readonly string[]
  /** The agent's instructions and description: the only source of amounts, codes and addresses that a reply may state. */
  ownerText: string
  language: string
}

/** The prompt's own facts that a decision needs. */
export interface PromptFacts {
  canary: string
  masked: readonly MaskedValue[]
  /** The waiting words as the model saw them. */
  customerText: string
}

/** What was looked at and what it did. `lowered` means that code overruled the model towards a person or silence. */
interface RuleVerdict {
  rule: string
  verdict: 'passed' | 'lowered' | 'changed'
  detail: string | null
}

/** Kept with a turn: what was proposed, in masked words, and every rule that judged it. */
export interface DecisionRecord {
  proposed: { reply: string | null; confidence: number; needsPerson: boolean; reason: string | null } | null
  rules: RuleVerdict[]
}

export type SilentReason = 'nothing_to_say' | 'person_answered' | 'agent_inactive' | 'erased'

export interface TurnDecision {
  outcome: 'replied' | 'handed_over' | 'silent'
  /** What to say; null says nothing. */
  text: string | null
  quickReplies: { id: string; title: string }[]
  /** A word for the outcome when it is not a plain reply: a `SentenceKind` or a `QuietHandover` when handed over. */
  reason: SentenceKind | SilentReason | QuietHandover | null
  facts: Fact[]
  rules: RuleVerdict[]
}

/**
 * Decides a turn. The model only proposes: its word can lead to a person sooner, never to anything that the rules forbid
 * (reliability.md D33). The record names every rule that was asked, so that the decision can be explained and repeated.
 */
export function decideTurn(
  proposal: Proposal,
  prompt: PromptFacts,
  settings: TurnSettings,
  lastLanguage: string | null,
): TurnDecision {
  const rules: RuleVerdict[] = []
  const language = pickLanguage(proposal.language, lastLanguage, settings.language)
  const facts = groundedFacts(proposal.facts, prompt, rules)
  const judge = (rule: string, verdict: RuleVerdict['verdict'], detail: string | null = null) => {
    rules.push({ rule, verdict, detail })
  }
  const handOver = (kind: SentenceKind): TurnDecision => ({
    outcome: 'handed_over',
    text: sentence(kind, language),
    quickReplies: [],
    reason: kind,
    facts,
    rules,
  })

  const wantsPerson = proposal.intent === 'human_request' || asksForPerson(prompt.customerText)
  judge('customer_asks_for_person', wantsPerson ? 'lowered' : 'passed')
  if (wantsPerson) return handOver('asked_for_person')

  judge('model_asks_for_person', proposal.needs_person ? 'lowered' : 'passed', proposal.needs_person ? proposal.reason : null)
  if (proposal.needs_person) return handOver('model_unsure')

  // Written so that NaN is too low as well.
  const sure = proposal.confidence >= settings.confidenceThreshold && proposal.confidence <= 1
  judge('confidence', sure ? 'passed' : 'lowered', sure ? null : `${proposal.confidence}, needed ${settings.confidenceThreshold}`)
  if (!sure) return handOver('model_unsure')

  // Whatever the model would say of it: what the customer asks about decides who answers.
  const topic = topicOf(foldText(prompt.customerText))
  if (proposal.reply === null || proposal.reply.trim() === '') {
    // Silence is for "ok" and "thanks"; a question must not be met with it.
    const asked = topic !== undefined || /[?؟？]/.test(prompt.customerText)
    judge('question_unanswered', asked ? 'lowered' : 'passed')
    if (asked) return handOver('model_unsure')
    return { outcome: 'silent', text: null, quickReplies: [], reason: 'nothing_to_say', facts, rules }
  }

  const reply = sanitiseReply(proposal.reply, { ...settings, canary: prompt.canary, masked: prompt.masked })
  if (!reply.ok) {
    judge(reply.fault.rule, 'lowered', quotable(reply.fault))
    return handOver('model_unsure')
  }
  if (topic !== undefined) {
    judge('topic', 'lowered', topic)
    return handOver('model_unsure')
  }
  judge('reply', reply.removed.length > 0 ? 'changed' : 'passed', reply.removed.join(', ') || null)
  return { outcome: 'replied', text: reply.text, quickReplies: safeQuickReplies(proposal, settings), reason: null, facts, rules }
}

const sentenceFor: Record<NoProposal, SentenceKind> = {
  invalid: 'model_failed',
  unavailable: 'model_failed',
  refused: 'model_unsure',
  budget_spent: 'budget_spent',
  turns_per_day: 'budget_spent',
  bot_loop: 'bot_loop',
  customers_used_up: 'customers_used_up',
}

/** The decision when no proposal came: a fixed sentence and a person. */
export function decideWithoutProposal(
  why: NoProposal,
  settings: { language: string },
  lastLanguage: string | null,
): TurnDecision {
  const kind = sentenceFor[why]
  return {
    outcome: 'handed_over',
    text: sentence(kind, pickLanguage(lastLanguage, settings.language)),
    quickReplies: [],
    reason: kind,
    facts: [],
    rules: [{ rule: why, verdict: 'lowered', detail: null }],
  }
}

/** The decision to leave the conversation to a person and say nothing: a fixed sentence would be a message too. */
export function handOverQuietly(reason: QuietHandover): TurnDecision {
  const rules: RuleVerdict[] = [{ rule: reason, verdict: 'lowered', detail: null }]
  return { outcome: 'handed_over', text: null, quickReplies: [], reason, facts: [], rules }
}

/** The decision to say nothing, whatever was proposed: a person has answered, say, or the agent is switched off. */
export function staySilent(reason: SilentReason, decided?: TurnDecision): TurnDecision {
  return {
    outcome: 'silent',
    text: null,
    quickReplies: [],
    reason,
    facts: decided?.facts ?? [],
    rules: [...(decided?.rules ?? []), { rule: reason, verdict: 'lowered', detail: null }],
  }
}

/** What is kept of a decision, to explain it and to judge the model by. */
export function decisionRecord(decision: TurnDecision, proposal: Proposal | null): DecisionRecord {
  const proposed = proposal && {
    reply: proposal.reply,
    confidence: proposal.confidence,
    needsPerson: proposal.needs_person,
    reason: proposal.reason,
  }
  return { proposed, rules: decision.rules }
}

/** Numbers, and numbers in words, as far as people order by them. */
const numberWords: Record<string, string> = Object.fromEntries(
  [
    'one un une uno una um uma ein eine einen',
    'two deux dos dois duas zwei due',
    'three trois tres drei tre',
    'four quatre cuatro quatro vier quattro',
    'five cinq cinco funf cinque',
    'six seis sechs sei',
    'seven sept siete sete sieben sette',
    'eight huit ocho oito acht otto',
    'nine neuf nueve nove neun',
    'ten dix diez dez zehn dieci',
    'eleven onze once elf undici',
    'twelve douze doce zwolf dodici',
  ].flatMap((words, index) => words.split(' ').map((word) => [word, String(index + 1)])),
)

const figuresOf = (text: string): string[] => foldText(text).match(/\d+/g) ?? []

/** Every figure of a fact's value stands in its quote, in digits or as a word: "10 roses" was not said by who wrote "one rose". */
function statesFigures(quote: string, value: string): boolean {
  const words = (foldText(quote).match(/\p{L}+/gu) ?? []).flatMap((word) => numberWords[word] ?? [])
  const stated = [...figuresOf(quote), ...words].map(Number)
  const joined = figuresOf(quote).join('')
  return figuresOf(value).every((figure) => stated.includes(Number(figure)) || joined.includes(figure))
}

/** A fact counts when its quote is in the customer's own words; anything else the model made up. */
function groundedFacts(facts: readonly Fact[], prompt: PromptFacts, rules: RuleVerdict[]): Fact[] {
  const said = foldText(prompt.customerText)
  const grounded = facts.filter(
    ({ value, quote }) => quote.trim() !== '' && said.includes(foldText(quote)) && statesFigures(quote, value),
  )
  if (grounded.length < facts.length) {
    rules.push({
      rule: 'facts_quoted',
      verdict: 'changed',
      detail: `${facts.length - grounded.length} without a quote dropped`,
    })
  }
  return grounded.map(({ name, value, quote }) => ({
    name: clipText(cleanText(name), 64),
    value: clipText(unmask(cleanText(value), prompt.masked), 500),
    quote: clipText(unmask(cleanText(quote), prompt.masked), 500),
  }))
}

/** A title is read by the customer like a reply, so it keeps the same rules; one that breaks them is left out. */
function safeQuickReplies(proposal: Proposal, settings: TurnSettings): { id: string; title: string }[] {
  const titles = proposal.quick_replies
    .map(({ title }) => cleanText(title).replace(/\s+/g, ' ').trim())
    .filter((title) => title !== '' && title.length <= 25 && !hasPlaceholder(title) && !/[/@]|\w\.\w/.test(title))
    .filter((title) => findPromise(title, settings.ownerText) === null)
  // The ids are ours: what comes back as a choice must not be a text that the model made up.
  return [...new Set(titles)].slice(0, 3).map((title, i) => ({ id: `reply-${i + 1}`, title }))
}

/** An address or number that the model made up is not kept in full. */
function quotable({ rule, detail }: ReplyFault): string {
  return rule === 'unknown_address' || rule === 'unknown_number' ? `${detail.slice(0, 4)}…` : detail
}
