import { foldText } from './clean-text.ts'

const wishes = [
  /\b(?:speak|talk|chat|connect me|transfer me|put me through|get me)\b.{0,24}\b(?:human|person|someone|somebody|advisor|adviser|representative|operator|manager|real agent)\b/,
  /\b(?:real|actual|live) (?:human|person|agent)\b/,
  /^(?:a )?(?:human|agent|representative|operator|advisor)(?: please)?[!. ]*$/,
  /\b(?:parler|discuter|echanger|joindre|contacter)\b.{0,24}\b(?:humain|personne|quelqu'un|conseill\w+|responsable|vendeu\w+)\b/,
  /^(?:un )?(?:conseill\w+|humain)(?: s'il (?:vous|te) plait)?[!. ]*$/,
  /\b(?:hablar|comunicarme|contactar)\b.{0,24}\b(?:persona|humano|alguien|asesor\w*|encargad\w+)\b/,
  /(?:اتحدث|التحدث|اكلم|التواصل).{0,24}(?:موظف|شخص|انسان|مستشار)/,
]

/** The customer asks for a person in plain words. Their right does not depend on whether a model noticed. */
export function asksForPerson(text: string): boolean {
  const folded = foldText(text)
  return wishes.some((wish) => wish.test(folded))
}
