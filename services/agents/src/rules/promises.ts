import { foldText } from './clean-text.ts'
import { asksForSecrets, freeWords, healthAdvice, legalWords, moneyPromises, noDoctor } from './risky-words.ts'

type PromiseRule =
  | 'claims_approval'
  | 'claims_refund'
  | 'promises_money'
  | 'gives_away'
  | 'health_advice'
  | 'asks_for_secrets'
  | 'legal_statement'
  | 'invented_amount'
  | 'invented_discount'
  | 'invented_code'

export interface BrokenRule {
  rule: PromiseRule
  /** The words that broke it, at most 120 characters. */
  detail: string
}

/** What somebody wants to have granted; stems of English, French, Spanish, German, Italian and Arabic, matched on folded text. */
const things =
  '(?:return|refund|claim|request|exchange|reimburse\\w*|compensation|credit|discount|voucher|coupon' +
  '|retour|rembours\\w*|demande|echange|avoir|remise|reduction|indemnis\\w*|dedommag\\w*|geste commercial' +
  '|devolucion|reembols\\w*|solicitud|cambio|descuento|cupon' +
  '|ruckgabe|ruckerstattung|erstattung|antrag|umtausch|rabatt|gutschein|reso|rimborso|richiesta|sconto|buono' +
  '|الاسترجاع|الارجاع|الاسترداد|طلبك|المبلغ|الخصم)'
const granted =
  '(?:approv\\w*|granted|authori[sz]ed|accepted|validated|confirmed' +
  '|approuve\\w*|accepte\\w*|valide\\w*|accorde\\w*|autorise\\w*|confirme\\w*' +
  '|aprobad\\w*|aceptad\\w*|autorizad\\w*|concedid\\w*|confirmad\\w*' +
  '|genehmigt|bewilligt|akzeptiert|gewahrt|approvat\\w*|accettat\\w*|autorizzat\\w*' +
  '|الموافقة|وافقنا|تم قبول|مقبول)'
const near = '[^.!?\\n]{0,60}?'

const approvals = [new RegExp(`${things}${near}${granted}`, 'g'), new RegExp(`${granted}${near}${things}`, 'g')]

const refunds = [
  /\b(?:i|we)(?:'ll|'ve|'m|'re| will| have| am| are| shall)?(?: now| just| already| fully| gladly| happily| going to| be)* (?:refund|reimburse|compensate|credit)\w*/g,
  /\b(?:refund|reimbursement|money|compensation|credit)\b[^.!?\n]{0,40}\b(?:issued|processed|processing|sent|on (?:its|the) way|initiated|completed|returned to you|credited|transferred|will be|has been|have been|is being|arrives?|within \d+)\b/g,
  /\byou(?:'ll|'re| will| are| have| can expect| get| receive)\b[^.!?\n]{0,30}\b(?:refund\w*|reimburs\w*|money back|compensat\w*|credited)\b/g,
  /\b(?:je|nous|on)(?: vous| te)? (?:rembours|dedommag|indemnis|crediter)\w*/g,
  /\bvous (?:serez|etes|avez ete|allez etre|recevrez|aurez|beneficie\w+)\b[^.!?\n]{0,40}\b(?:rembours\w*|credite\w*|dedommag\w*|indemnis\w*|avoir)\b/g,
  /\bremboursement\b[^.!?\n]{0,40}\b(?:effectue|emis|lance|traite|envoye|en cours|sera|a ete|sous \d+)\b/g,
  /\b(?:reembolsaremos|reembolsamos|devolveremos (?:el|su|tu) (?:dinero|importe))\b/g,
  /\b(?:reembolso|dinero|importe)\b[^.!?\n]{0,40}\b(?:procesado|emitido|enviado|en camino|sera|ha sido|recibira\w*)\b/g,
  /\b(?:recibira|recibiras|obtendra)\b[^.!?\n]{0,30}\breembolso\b/g,
  /\bwir (?:erstatten|haben [^.!?\n]{0,30}erstattet|uberweisen)\b|\b(?:wird|wurde|werden)\b[^.!?\n]{0,40}\berstattet\b/g,
  /\b(?:rimborseremo|rimborsiamo|sara rimborsat\w*|verra rimborsat\w*)\b/g,
  /(?:سنعيد|سنرد|سيتم رد|سيتم استرداد|تم استرداد|تم رد|سنعوض)/g,
]

/** Words of comfort that hold a "no" and deny nothing: "Don't worry, your refund is approved" is a promise. */
const comfort =
  /\b(?:don't (?:worry|hesitate)|do not (?:worry|hesitate)|no (?:problem|worries|doubt|need to worry)|not only|not to worry|pas de (?:souci|probleme|panique)|(?:ne |n')?(?:vous |t')?(?:inquietez|inquiete)(?: vous)? pas|sans (?:probleme|souci|aucun doute)|pas seulement|no se preocupe|no te preocupes|sin problema|no solo|kein(?:e)? (?:problem|sorge)|nicht nur|non si preoccupi|nessun problema)\b|لا تقلق/g

/** "We cannot refund", "nous ne pouvons pas rembourser": no promise. It reaches to the end of its clause. */
const negation =
  /(?:\b(?:not|cannot|can't|won't|don't|doesn't|isn't|hasn't|haven't|wasn't|never|no|unable|ne|pas|aucun|jamais|nunca|jamas|nicht|niemals|nie|kein\w*|non|mai)\b|\bn'|(?:^| )(?:لا|لم|لن|غير) )[^.!?,;:\n]{0,45}$/

const currency =
  '(?:[€$£¥₹]|\\b(?:eur|usd|gbp|chf|mad|dzd|tnd|aed|sar|egp|xof|xaf|f ?cfa|cfa|euros?|dollars?|dolares|pounds?|livres?|francs?|dirhams?|dhs?|riyals?|pesos?)\\b|درهم|ريال|دينار|جنيه|يورو|دولار)'
// Begins where a run of digits begins, and ends: sixteen thousand digits are read once, not once from each of them.
const figure = '(?<!\\d)(?:\\d{1,3}(?:[ .,\\u00a0]\\d{3}){1,6}|\\d{1,15})(?:[.,]\\d{1,2})?(?!\\d)'
const amounts = new RegExp(`(?:(${figure}) ?${currency})|(?:${currency} ?(${figure}))`, 'g')
const percents =
  /(?<!\d)(\d{1,9}(?:[.,]\d{1,9})?) ?(?:%|٪|percent|per cent|pour ?cent|por ?ciento|prozent|per cento|بالمية|في المية)/g
const discountWords =
  /\b(?:off|discount\w*|reduc\w*|remise\w*|rabais|promo\w*|solde\w*|descuento\w*|rebaja\w*|rabatt\w*|scont\w*|cheaper|moins cher|free)\b|خصم|تخفيض/
const codeWord =
  /(?<!\p{L})(?:code|coupon|voucher|promo|promocode|bon|cup[oó]n|c[oó]digo|gutschein\p{L}*|codice|كود|رمز)(?!\p{L})/giu
/** Capitals, or letters and digits mixed; a postal code or an order number is digits only. */
const codeShape =
  /(?<![\p{L}\p{N}_-])(?=[A-Za-z0-9_-]*[A-Za-z])(?:[A-Z0-9][A-Z0-9_-]{3,31}|(?=[a-z-]*\d)[a-z0-9_-]{4,32})(?![\p{L}\p{N}_-])/gu

/**
 * The first thing in a reply that only code or a person may promise: an approval, a refund, an amount of money, a discount, a
 * coupon code (reliability.md A48, A54; a chatbot's promise bound Air Canada in Moffatt, 2024). What the shop's owner wrote into
 * the agent's own instructions may be repeated. A false alarm costs one hand-over; a missed promise costs money.
 */
export function findPromise(reply: string, ownerText: string): BrokenRule | null {
  const folded = foldText(reply).replace(comfort, ' ')
  for (const pattern of approvals) {
    const found = firstAffirmed(folded, pattern)
    if (found !== undefined) return broken('claims_approval', found)
  }
  for (const pattern of refunds) {
    const found = firstAffirmed(folded, pattern)
    if (found !== undefined) return broken('claims_refund', found)
  }
  const owner = foldText(ownerText)
  for (const [rule, patterns] of spoken) {
    for (const pattern of patterns) {
      const found = firstAffirmed(folded, pattern)
      if (found !== undefined) return broken(rule, found)
    }
  }
  const against = noDoctor.map((pattern) => folded.match(pattern)?.[0]).find((found) => found !== undefined)
  if (against !== undefined) return broken('health_advice', against)
  const given = firstAffirmed(folded, freeWords)
  if (given !== undefined && !owner.includes(given)) return broken('gives_away', given)
  const ownerAmounts = new Set([...owner.matchAll(amounts)].map(amountOf))
  for (const match of folded.matchAll(amounts)) {
    if (!ownerAmounts.has(amountOf(match))) return broken('invented_amount', match[0])
  }
  if (discountWords.test(folded)) {
    const ownerPercents = new Set([...owner.matchAll(percents)].map((match) => plainNumber(match[1] ?? '')))
    for (const match of folded.matchAll(percents)) {
      if (!ownerPercents.has(plainNumber(match[1] ?? ''))) return broken('invented_discount', match[0])
    }
  }
  const code = spokenCodes(reply.normalize('NFKC')).find((spoken) => !ownerText.includes(spoken))
  return code === undefined ? null : broken('invented_code', code)
}

const spoken: readonly [PromiseRule, readonly RegExp[]][] = [
  ['promises_money', moneyPromises],
  ['asks_for_secrets', asksForSecrets],
  ['health_advice', healthAdvice],
  ['legal_statement', legalWords],
]

function firstAffirmed(text: string, pattern: RegExp): string | undefined {
  for (const match of text.matchAll(pattern)) {
    const inside = match[0]
    const before = text.slice(Math.max(0, match.index - 60), match.index)
    // A negation counts when it stands before the claim or between its two halves.
    if (!negation.test(before) && !negation.test(inside.slice(0, inside.lastIndexOf(' ')))) return inside
  }
  return undefined
}

/** What is said within 40 characters after a word for "code". */
function spokenCodes(text: string): string[] {
  return [...text.matchAll(codeWord)].flatMap((word) => {
    const after = word.index + word[0].length
    return text.slice(after, after + 40).match(codeShape) ?? []
  })
}

function amountOf(match: RegExpMatchArray): string {
  return plainNumber(match[1] ?? match[2] ?? '')
}

/** "1 234,50" and "1,234.5" are the same number. */
function plainNumber(text: string): string {
  const decimals = /[.,](\d{1,2})$/.exec(text)
  const whole = (decimals ? text.slice(0, decimals.index) : text).replace(/\D/g, '')
  return String(Number(`${whole}.${decimals?.[1] ?? '0'}`))
}

function broken(rule: PromiseRule, detail: string): BrokenRule {
  return { rule, detail: detail.trim().slice(0, 120) }
}
