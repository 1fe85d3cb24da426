export type CommandLanguage = 'fr' | 'en' | 'es' | 'ar'

export type ConsentCommand =
  | { kind: 'stop' | 'start' | 'erase'; word: string; language: CommandLanguage }
  /** The word for erasing inside other words: nothing is erased, the customer is asked. `aboutData`: it is clearly about their data. */
  | { kind: 'ask'; language: CommandLanguage; aboutData: boolean }
  | { kind: 'none' }

type Words = Record<CommandLanguage, readonly string[]>

// CANCEL, END and QUIT are stop words of American SMS gateways; in a shop's chat they answer the shop's own questions.
const stopWords: Words = {
  fr: ['arret', 'arreter', 'arretez', 'desabonner', 'desabonnement', 'desinscrire', 'desinscription', 'stop pub'],
  en: ['stop', 'stop all', 'unsubscribe', 'opt out'],
  es: ['baja', 'parar', 'darme de baja', 'cancelar suscripcion'],
  ar: ['توقف', 'ايقاف', 'قف', 'الغاء الاشتراك'],
}
const startWords: Words = {
  fr: ['demarrer', 'reabonner', 's abonner', 'me reabonner'],
  en: ['start', 'unstop', 'subscribe', 'opt in'],
  es: ['alta', 'iniciar', 'darme de alta'],
  ar: ['ابدا', 'اشترك', 'اشتراك'],
}
// Erasing cannot be undone. SUPPRIMER is the published command; elsewhere a bare "delete" may answer "change or delete the item?".
const eraseWords: Words = {
  fr: ['supprimer'],
  en: ['delete my data', 'erase my data'],
  es: ['borrar mis datos', 'eliminar mis datos', 'suprimir mis datos'],
  ar: ['احذف بياناتي', 'حذف بياناتي', 'امسح بياناتي'],
}

// What makes a sentence one about erasing at all, what makes it one about the person, and what makes it one about shopping.
const eraseStem = /^(supprim|efface|delet|eras|borr|elimin|suprim)|^(حذف|احذف|امسح|مسح)/
const dataWord =
  /^(donnees?|data|datos|compte|account|cuenta|infos?|informations?|informacion|personnel(le)?s?|personal|personales|profil|profile|perfil|historique|history|historial|numero|number|rgpd|gdpr|بياناتي|بيانات|حسابي|معلوماتي)$/
const shopWord =
  /^(commandes?|paniers?|articles?|produits?|lignes?|boites?|flacons?|livraisons?|order|orders|cart|basket|items?|products?|lines?|pedidos?|carrito|articulos?|productos?|طلب|طلبي|الطلب|سلة|منتج|المنتج|\d+)$/

/** Each command written without spaces, so that "S T O P", "s.t.o.p" and "stop-pub" are the same. */
const commands = new Map<string, ConsentCommand>()
for (const [kind, words] of [
  ['stop', stopWords],
  ['start', startWords],
  ['erase', eraseWords],
] as const) {
  for (const language of ['fr', 'en', 'es', 'ar'] as const) {
    for (const word of words[language]) commands.set(word.replaceAll(' ', ''), { kind, word: word.toUpperCase(), language })
  }
}

/**
 * What a text commands about consent (reliability.md A59, D40). Only a text that is nothing but the command counts, whatever
 * its case, accents, spaces, punctuation or invisible characters. The word for erasing in a sentence ("ne pas supprimer")
 * or with a question mark asks back; when the sentence names a thing of the shop ("supprimer un article"), it is no command.
 */
export function consentCommand(text: string | null): ConsentCommand {
  if (text === null) return { kind: 'none' }
  const tokens = tokensOf(text)
  const command = commands.get(tokens.join(''))
  if (command?.kind === 'erase' && /[?？؟¿]/u.test(text)) return { kind: 'ask', language: command.language, aboutData: true }
  if (command !== undefined) return command
  return sentence(tokens)
}

function sentence(tokens: readonly string[]): ConsentCommand {
  const stem = tokens.find((token) => eraseStem.test(token))
  if (stem === undefined) return { kind: 'none' }
  const aboutData = tokens.some((token) => dataWord.test(token))
  if (!aboutData && tokens.some((token) => shopWord.test(token))) return { kind: 'none' }
  return { kind: 'ask', language: languageOf(stem), aboutData }
}

function languageOf(stem: string): CommandLanguage {
  if (/^(supprim|efface)/.test(stem)) return 'fr'
  if (/^(delet|eras)/.test(stem)) return 'en'
  return /^[a-z]/.test(stem) ? 'es' : 'ar'
}

/**
 * The words of a text in lower case without accents, punctuation, emoji or invisible characters. Format characters are
 * removed, not turned into spaces: a zero-width space may sit inside a word. NFKD also folds full-width letters and takes
 * the hamza from an alef; the tatweel only stretches a word.
 */
function tokensOf(text: string): string[] {
  return text
    .slice(0, 2_000)
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\u0640]/gu, '')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((token) => token !== '')
}
