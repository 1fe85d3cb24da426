import { tokensOf } from './fold-text.ts'
import { isBareStop, stopVerdict, type StopVerdict } from './stop-sentence.ts'
import { stopWords } from './stop-lexicon.ts'

export const commandLanguages = ['en', 'fr', 'es', 'pt', 'de', 'it', 'nl', 'ar'] as const
export type CommandLanguage = (typeof commandLanguages)[number]

export type ConsentCommand =
  | { kind: 'stop' | 'start' | 'erase'; word: string; language: CommandLanguage }
  /** May be a stop, may be about something else: nothing is sent by itself any more, and a person looks. */
  | { kind: 'maybe_stop' }
  /** The word for erasing inside other words: nothing is erased, the customer is asked. `aboutData`: it is clearly about their data. */
  | { kind: 'ask'; language: CommandLanguage; aboutData: boolean }
  | { kind: 'none' }

type Words = Partial<Record<CommandLanguage, readonly string[]>>

const startWords: Words = {
  fr: ['demarrer', 'reabonner', 's abonner', 'me reabonner'],
  en: ['start', 'unstop', 'subscribe', 'opt in'],
  es: ['alta', 'iniciar', 'darme de alta'],
  pt: ['comecar', 'voltar', 'inscrever'],
  de: ['anmelden', 'starten'],
  it: ['inizia', 'iscrivimi', 'iscriviti'],
  nl: ['aanmelden', 'begin'],
  ar: ['ابدا', 'اشترك', 'اشتراك'],
}
// Erasing cannot be undone. SUPPRIMER is the published command; elsewhere a bare "delete" may answer "change or delete the item?".
const eraseWords: Words = {
  fr: ['supprimer'],
  en: ['delete my data', 'erase my data'],
  es: ['borrar mis datos', 'eliminar mis datos', 'suprimir mis datos'],
  pt: ['apagar meus dados', 'apagar os meus dados', 'excluir meus dados'],
  de: ['meine daten loschen', 'loschen sie meine daten', 'losche meine daten'],
  it: ['cancellare i miei dati', 'cancella i miei dati', 'cancellate i miei dati'],
  nl: ['verwijder mijn gegevens', 'mijn gegevens verwijderen', 'wis mijn gegevens'],
  ar: ['احذف بياناتي', 'حذف بياناتي', 'امسح بياناتي'],
}

// What makes a sentence one about erasing at all, what makes it one about the person, and what makes it one about shopping.
const eraseStem = /^(supprim|efface|delet|eras|borr|elimin|suprim)|^(حذف|احذف|امسح|مسح)/
/** Elsewhere these words are used of orders as well: they need one of the next beside them. */
const eraseStemOfData = /^(apag|exclu|losch|vernicht|cancell|verwijder|wis)/
const dataWord =
  /^(donnees?|data|datos|dados|daten|dati|gegevens|compte|account|cuenta|conta|konto|infos?|informations?|informacion|personnel(le)?s?|personal|personales|pessoais|personenbezogen\w*|profil|profile|perfil|profilo|profiel|historique|history|historial|numero|number|nummer|rgpd|gdpr|dsgvo|avg|بياناتي|بيانات|حسابي|معلوماتي)$/
const shopWord =
  /^(commandes?|paniers?|articles?|produits?|lignes?|boites?|flacons?|livraisons?|order|orders|cart|basket|items?|products?|lines?|pedidos?|carrito|articulos?|productos?|طلب|طلبي|الطلب|سلة|منتج|المنتج|\d+)$/

/** To be forgotten is to be erased: asked back like any other sentence, because it cannot be undone. */
const forgetMe: Words = {
  en: ['forget me', 'forget about me', 'right to be forgotten'],
  fr: ['oubliez moi', 'oublie moi', 'oubliez nous', 'droit a l oubli'],
  es: ['olvidenme', 'olvideme', 'olvidame', 'olvidadme', 'derecho al olvido'],
  pt: ['esquecam me', 'esqueca me', 'me esqueca', 'me esquecam'],
  de: ['vergessen sie mich', 'vergiss mich', 'vergesst mich', 'recht auf vergessenwerden'],
  it: ['dimenticatemi', 'dimenticami', 'diritto all oblio'],
  nl: ['vergeet mij', 'vergeet me', 'recht op vergetelheid'],
  ar: ['انسوني', 'انساني', 'انسني'],
}

const joined = (words: string) => words.replaceAll(' ', '')

/** Each command written without spaces, so that "S U P P R I M E R" and "opt-in" are the same. */
const commands = new Map<string, ConsentCommand>()
for (const language of commandLanguages) {
  for (const word of startWords[language] ?? []) commands.set(joined(word), { kind: 'start', word: word.toUpperCase(), language })
  for (const word of eraseWords[language] ?? []) commands.set(joined(word), { kind: 'erase', word: word.toUpperCase(), language })
}
const languageOfStop = new Map(
  commandLanguages.flatMap((language) => (stopWords[language] ?? '').split(',').map((word) => [joined(word), language] as const)),
)

/**
 * What a text commands about consent (reliability.md A59, D40). To start again and to be erased need a text that is nothing but the command,
 * whatever its case, accents, spaces, punctuation or invisible characters. A stop is a stop in any words that plainly say so (the FCC's
 * rule of 2024: any reasonable means); where it may be one, a person looks. The word for erasing in a sentence ("ne pas supprimer") or
 * with a question mark asks back; when the sentence names a thing of the shop ("supprimer un article"), it is no command.
 */
export function consentCommand(text: string | null): ConsentCommand {
  if (text === null) return { kind: 'none' }
  const tokens = tokensOf(text)
  const command = commands.get(tokens.join(''))
  if (command?.kind === 'erase' && /[?？؟¿]/u.test(text)) return { kind: 'ask', language: command.language, aboutData: true }
  if (command !== undefined) return command
  const about = sentence(tokens)
  const verdict = stopOf(text, tokens)
  // "Take my number off your list" asks for no erasure.
  const isListed = verdict === 'stop' && tokens.some((token) => /^(?:list|lijst|verteiler|القايمه)/.test(token))
  if (about.kind === 'ask' && about.aboutData && !isListed) return about
  if (verdict === 'stop') return { kind: 'stop', word: 'STOP', language: languageOfTokens(tokens) }
  return verdict === 'maybe' ? { kind: 'maybe_stop' } : about
}

/** Most of a text that is read as sentences; the rest of a longer one tells a story. */
const mostSentences = 10

function stopOf(text: string, tokens: readonly string[]): StopVerdict {
  if (isBareStop(tokens)) return /[?？؟¿]/u.test(text) ? 'none' : 'stop'
  const sentences = (text.slice(0, 2_000).match(/[^.!?？؟;\n…。]+[.!?？؟;\n…。]?/gu) ?? []).slice(0, mostSentences)
  const read = sentences.map((part) => ({ part, words: tokensOf(part), asks: /[?？؟]$/u.test(part) }))
  const verdicts = read.map(({ words, part, asks }) => withParts(stopVerdict(words, asks), part, asks))
  if (!verdicts.includes('stop')) return verdicts.includes('maybe') ? 'maybe' : 'none'
  // "Stop! Send it on Tuesday" is about Tuesday; "Bonjour. Stop." and "Stop. Do not write to me" are not about anything else.
  const isOnlyWord = read.every(({ words }, at) => verdicts[at] !== 'stop' || isBareStop(words))
  const saysMore = read.some(({ words }, at) => verdicts[at] === 'none' && words.length > 3)
  return isOnlyWord && saysMore ? 'maybe' : 'stop'
}

/** "Not interested, do not write to me": one part of a sentence says it. A bare "stop," in a longer one may be about anything. */
function withParts(verdict: StopVerdict, part: string, asks: boolean): StopVerdict {
  if (verdict === 'stop' || !/[,،]/u.test(part)) return verdict
  const parts = part.split(/[,،]/u).map(tokensOf)
  return parts.some((words) => !isBareStop(words) && stopVerdict(words, asks) === 'stop') ? 'stop' : verdict
}

function sentence(tokens: readonly string[]): Extract<ConsentCommand, { kind: 'ask' | 'none' }> {
  const said = tokens.join(' ')
  for (const language of commandLanguages) {
    if (forgetMe[language]?.some((words) => said === words || said.includes(` ${words}`) || said.startsWith(`${words} `)))
      if (tokens.length <= 6) return { kind: 'ask', language, aboutData: true }
  }
  const aboutData = tokens.some((token) => dataWord.test(token))
  const stem = tokens.find((token) => eraseStem.test(token) || (aboutData && eraseStemOfData.test(token)))
  if (stem === undefined) return { kind: 'none' }
  if (!aboutData && tokens.some((token) => shopWord.test(token))) return { kind: 'none' }
  return { kind: 'ask', language: languageOf(stem), aboutData }
}

/** Words that tell the languages of the confirmation apart; the language itself is only a courtesy. */
const hints: Record<CommandLanguage, RegExp> = {
  en: /^(the|you|your|me|please|don|t|do|not|to|from|more|any|messages?|text\w*|send\w*|list|off|want|stop)$/,
  fr: /^(je|ne|pas|plus|vos|moi|svp|merci|ecri\w*|arret\w*|desabonn\w*|desinscri\w*|laissez|cessez|veux|messages?|envoyez|liste)$/,
  es: /^(no|me|mas|quiero|mensajes?|baja|gracias|por|favor|escriban|envien|manden|dejen|dejenme|lista)$/,
  pt: /^(nao|mais|quero|mensagens|sair|obrigad[oa]|parem|enviem|mandem|deixem|receber|escrevam)$/,
  de: /^(nicht|keine?|mehr|mich|mir|bitte|werbung|nachrichten|abmelden|schreiben|ruhe|ich)$/,
  it: /^(non|piu|mi|messaggi|basta|voglio|scrivetemi|lista|pace|grazie|pubblicita)$/,
  nl: /^(niet|geen|meer|mij|berichten|afmelden|uitschrijven|stuur|ik|aub|lijst)$/,
  ar: /[\u0600-\u06ff]/,
}

function languageOfTokens(tokens: readonly string[]): CommandLanguage {
  const known = languageOfStop.get(tokens.join('')) ?? languageOfStop.get(tokens[0] ?? '')
  if (known !== undefined && known !== 'en') return known
  const counts = Object.entries(hints).map(([language, hint]) => ({
    language: language as CommandLanguage,
    count: tokens.filter((token) => hint.test(token)).length,
  }))
  const best = counts.reduce((most, next) => (next.count > most.count ? next : most))
  return best.count > 0 ? best.language : 'en'
}

function languageOf(stem: string): CommandLanguage {
  if (/^(supprim|efface)/.test(stem)) return 'fr'
  if (/^(delet|eras)/.test(stem)) return 'en'
  if (/^(apag|exclu)/.test(stem)) return 'pt'
  if (/^(losch|vernicht)/.test(stem)) return 'de'
  if (stem.startsWith('cancell')) return 'it'
  if (/^(verwijder|wis)/.test(stem)) return 'nl'
  return /^[a-z]/.test(stem) ? 'es' : 'ar'
}
