/** One value that stays in the house, and what stands for it at the model's provider. */
export interface MaskedValue {
  placeholder: string
  value: string
  /** False for what must never be written out again: card numbers and bank accounts. */
  restorable: boolean
}

type Kind = 'CARD' | 'IBAN' | 'EMAIL' | 'PHONE'

const cardPattern = /(?<![\d+])\d(?:[ .-]?\d){12,18}(?!\d)/g
const ibanPattern = /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b/gi
const emailPattern = /[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/gu
/** International or national with separators, or a bare run of 10 to 15 digits. A date is not one. */
const phonePattern =
  /(?<![\p{L}\d])(?!\d{4}-\d{2}-\d{2}(?!\d))(?:(?:\+|00)\d(?:[ ().-]{0,3}\d){6,14}|0\d(?:[ ().-]{0,2}\d){7,12}|\(\d{2,4}\)(?:[ .-]{0,2}\d){6,10}|\d{3}[ .-]\d{3}[ .-]\d{4}|\d{10,15})(?![\p{L}\d])/gu

/** The checksum of payment card numbers (ISO/IEC 7812-1): cuts false hits by nine in ten. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48
    const doubled = digit * 2
    sum += i % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled
  }
  return digits.length >= 13 && digits.length <= 19 && sum % 10 === 0 && /[1-9]/.test(digits)
}

/** The checksum of bank account numbers (ISO 13616, mod 97). */
export function passesIbanCheck(text: string): boolean {
  const iban = text.replaceAll(' ', '').toUpperCase()
  if (iban.length < 15 || iban.length > 34) return false
  let rest = 0
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = char >= 'A' ? char.charCodeAt(0) - 55 : Number(char)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}

/** Card numbers are not even stored (reliability.md D36): this runs before a text is written anywhere. */
export function redactCards(text: string): string {
  return text.replace(cardPattern, (found) => (passesLuhn(found.replace(/\D/g, '')) ? '[card number removed]' : found))
}

/**
 * Replaces card numbers, bank accounts, e-mail addresses and phone numbers by placeholders such as `{{EMAIL_1}}`, the same one
 * for the same value in all texts. Double braces that were there before are broken up, so nobody can write a placeholder.
 */
export function maskTexts(texts: readonly string[]): { texts: string[]; values: MaskedValue[] } {
  const values: MaskedValue[] = []
  const known = new Map<string, string>()
  const counts = new Map<Kind, number>()

  function placeholderFor(kind: Kind, value: string): string {
    const id = `${kind}:${value.replace(/[ ().-]/g, '').toLowerCase()}`
    const existing = known.get(id)
    if (existing !== undefined) return existing
    const number = (counts.get(kind) ?? 0) + 1
    counts.set(kind, number)
    const placeholder = `{{${kind}_${number}}}`
    known.set(id, placeholder)
    const restorable = kind === 'EMAIL' || kind === 'PHONE'
    values.push({ placeholder, value: restorable ? value : '', restorable })
    return placeholder
  }

  const masked = texts.map((text) =>
    text
      .replace(/\{(?=\{)/g, '{ ')
      .replace(/\}(?=\})/g, '} ')
      .replace(emailPattern, (found) => placeholderFor('EMAIL', found))
      .replace(ibanPattern, (found) => maskIban(found, placeholderFor))
      .replace(cardPattern, (found) => (passesLuhn(found.replace(/\D/g, '')) ? placeholderFor('CARD', found) : found))
      .replace(phonePattern, (found) => placeholderFor('PHONE', found)),
  )
  return { texts: masked, values }
}

/** An account number may be followed by words that look like more of it: the longest valid beginning counts. */
function maskIban(found: string, placeholderFor: (kind: Kind, value: string) => string): string {
  for (let length = found.length; length >= 15; length--) {
    const candidate = found.slice(0, length)
    const boundary = length === found.length || found[length] === ' '
    if (boundary && passesIbanCheck(candidate)) return placeholderFor('IBAN', candidate) + found.slice(length)
  }
  return found
}

const placeholderPattern = /\{\{[A-Z]+_\d+\}\}/g

/** Puts e-mail addresses and phone numbers back. A placeholder that may not or cannot be restored stays as it is: see `hasPlaceholder`. */
export function unmask(text: string, values: readonly MaskedValue[]): string {
  return text.replace(placeholderPattern, (found) => {
    const match = values.find(({ placeholder }) => placeholder === found)
    return match?.restorable ? match.value : found
  })
}

/** True while a placeholder, or something meant as one, is in the text. */
export function hasPlaceholder(text: string): boolean {
  return /\{\{|\}\}/.test(text)
}
