import { folded, latinLookAlikes } from './fold-text.ts'
import * as lexicon from './stop-lexicon.ts'

export type StopVerdict = 'stop' | 'maybe' | 'none'

interface WordClass {
  has(token: string): boolean
}

/** A class of words, `stem*` for all that begin so. */
function classOf(list: string): WordClass {
  const words = new Set<string>()
  const stems = new Map<string, string[]>()
  for (const entry of folded(list).split(',')) {
    if (!entry.endsWith('*')) words.add(entry)
    else stems.set(entry.slice(0, 2), [...(stems.get(entry.slice(0, 2)) ?? []), entry.slice(0, -1)])
  }
  const hasAsIs = (token: string) =>
    words.has(token) || (stems.get(token.slice(0, 2))?.some((stem) => token.startsWith(stem)) ?? false)
  return { has: (token) => hasAsIs(token) || (/^ال..../u.test(token) && hasAsIs(token.slice(2))) }
}

const courtesy = classOf(lexicon.courtesy)
const negation = classOf(lexicon.negations)
const contact = classOf(lexicon.contactVerbs)
const sending = classOf(lexicon.sendVerbs)
const message = classOf(lexicon.messageNouns)
const advert = classOf(lexicon.advertNouns)
const anything = classOf(lexicon.anythingNouns)
const ending = classOf(lexicon.endings)
const want = classOf(lexicon.wantVerbs)
const receive = classOf(lexicon.receiveVerbs)
const remove = classOf(lexicon.removeVerbs)
const unsubscribe = classOf(lexicon.unsubscribeStems)
const listNoun = classOf(lexicon.listNouns)
const person = classOf(lexicon.persons)
const object = classOf(lexicon.objects)
const bother = classOf(lexicon.botherVerbs)
const nothing = classOf('nothing,rien,nada,nichts,niets,niente,walo')
const filler = classOf(lexicon.fillers)
const qualifier = classOf(lexicon.qualifiers)
const shop = classOf(lexicon.shopNouns)
const sayings = lexicon.sayings.split(',')
const harmless = [
  negation,
  contact,
  sending,
  message,
  advert,
  anything,
  ending,
  want,
  receive,
  remove,
  unsubscribe,
  listNoun,
  person,
  filler,
  courtesy,
]

const bare = new Set(
  Object.values(lexicon.stopWords).flatMap((words) => words.split(',').map((word) => word.replaceAll(' ', ''))),
)
/** Words that end something wherever they stand; END, QUIT and CANCEL do so only by themselves. */
const hard = classOf(
  'stop,stopp,stopall,arretez,arrete,parar,paren,parem,basta,stoppen,smettetela,smettila,توقف*,اوقف*,ايقاف,كفي,safi,habsou,hbes',
)
/** "Don't stop", "non-stop", "n’arrêtez pas", "no dejen de": the end of the end. */
const goOn =
  /(?:^| )(?:dont|don t|do not|never|cant|can t|cannot|won t|wont|non|nonstop|ne|n|no|nao|nicht|niet) (?:stop|stopp|arret|cess|dej|pare|quit|smett)/

/** To be taken off, in words that apart mean many things: "darme de baja", "schrijf mij uit", "hören Sie auf", "I want out of this list". */
const takesLeave = new RegExp(
  [
    'dar(?:me|nos|se)? (?:de )?baja|(?:dame|denme|deme|dadme|quiero|solicito|pido) (?:la |de |una )*baja',
    'schrijf (?:me|mij|ons) uit|schrijf (?:me|mij) a\\.?u\\.?b uit',
    'trag(?:t|en)? (?:sie )?(?:mich|uns) (?:bitte )?aus|meld(?:e|et|en)? (?:sie )?(?:mich|uns) (?:bitte )?ab',
    'hor(?:t|en)? (?:sie |ihr |endlich |bitte |sofort )*(?:damit )?auf(?: damit)?$',
    'out of (?:this|the|your) (?:mailing )?list',
  ]
    .map((words) => `(?:^| )(?:${words})(?: |$)`)
    .join('|'),
)
/** Ending a subscription may be ending the messages, or the monthly box. */
const endsSubscription =
  /(?:^| )(?:cancel|annul|kundig|opzeg|beend)\w* .*(?:suscripcion|subscription|inscricao|abonnement|abo|abbonamento|iscrizione)(?: |$)/

/** "Reply STOP to end this": somebody's instructions, perhaps our own, come back. */
const instructs =
  /(?:^| )you will |(?:^| )(?:write|text|reply|send|answer|ecrivez|repondez|envoyez|escriba|responda|envie|escreva|schreiben sie|antworten sie|scriva|scrivi|rispondi|schrijf|antwoord|اكتب|ارسل) (?:with |par |con |com |mit |met |كلمه )?(?:stop|start)(?: |$)/

/** Longer texts tell a story: somebody should read them, no rule. */
const longestSentence = 25

/** `STOP`, `stop stop`, `S T O P`, `STOOOP`, `5T0P`, `ЅТОР`: nothing but the word, once or again. */
export function isBareStop(tokens: readonly string[]): boolean {
  const said = tokens.filter((token) => !courtesy.has(token))
  if (said.length === 0 || said.length > 60) return tokens.length > 0 && isRepeated(tokens.slice(0, 60).join(''))
  return said.every((token) => bare.has(token)) || isRepeated(said.join('')) || isRepeated(tokens.slice(0, 60).join(''))
}

function isRepeated(joined: string): boolean {
  return [joined, latinLookAlikes(joined), withoutDigits(joined)].some((text) => {
    const short = text.replace(/(.)\1{2,}/gu, '$1')
    return bare.has(short) || repeats(short)
  })
}

/** The same command again and again. */
function repeats(text: string): boolean {
  for (let length = 3; length <= text.length / 2; length++) {
    const word = text.slice(0, length)
    if (bare.has(word) && text.replaceAll(word, '') === '') return true
  }
  return false
}

const withoutDigits = (text: string) => (/\p{L}/u.test(text) ? text.replaceAll('0', 'o').replaceAll('5', 's') : text)

/** What one sentence says about being written to at all. `asks`: it ends with a question mark. */
export function stopVerdict(tokens: readonly string[], asks: boolean): StopVerdict {
  if (isBareStop(tokens)) return asks ? 'none' : 'stop'
  const joined = tokens.join('')
  const has = (kind: WordClass) => tokens.some((token) => kind.has(token))
  const about = has(qualifier) || has(shop) || tokens.some((token) => /\p{N}/u.test(token))
  const plainly = (rest: number): StopVerdict => {
    if (asks || about) return 'maybe'
    return rest <= 1 ? 'stop' : rest <= 4 ? 'maybe' : 'none'
  }
  if (tokens.length > longestSentence || instructs.test(` ${tokens.join(' ')}`) || goOn.test(` ${tokens.join(' ')}`))
    return 'none'
  if (sayings.some((saying) => joined.includes(saying))) return plainly(0)
  const rest = tokens.filter((token) => !harmless.some((kind) => kind.has(token))).length
  const isVerb = (token: string) => contact.has(token) || sending.has(token) || remove.has(token)
  // "Escribirme", "scrivetemi", "تراسلوني": the one who is meant stands at the end of the verb.
  const isMe = has(object) || tokens.some((token) => /(?:me|nos|mi|ني|نا)$/u.test(token) && isVerb(token))
  const words = tokens.join(' ')
  if (endsSubscription.test(words)) return asks ? 'none' : 'maybe'
  if (takesLeave.test(words)) return has(shop) ? 'none' : 'stop'
  if (has(unsubscribe)) return asks && rest > 0 && !has(person) ? 'none' : !has(shop) ? 'stop' : asks ? 'none' : 'maybe'
  const isListed = has(listNoun) || tokens.includes('off')
  const leaves = (tokens.includes('sair') || tokens.includes('salir')) && has(listNoun)
  const isAlone = rest === 0 && tokens.length <= 3 && !tokens.includes('take')
  if (leaves || (has(remove) && isMe && (isListed || isAlone))) return !about && rest <= 2 ? 'stop' : isListed ? 'maybe' : 'none'
  if (!has(negation) && !has(ending)) return 'none'
  // "Plus" and "più" are also more of something: by themselves they deny no verb.
  const denies = tokens.some((token) => nothing.has(token) || (negation.has(token) && token !== 'plus' && token !== 'piu'))
  // What somebody received, or will receive, is a report.
  if (has(receive) && !has(want) && !has(hard)) return 'none'
  // Of "the old number" nobody knows whose it is.
  if (
    has(contact) &&
    rest > 0 &&
    tokens.some((token) => /^(?:number|numero|nummer)$/.test(token)) &&
    !/(?:^| )(?:me|us|moi|nous|mich|mir|mij)(?: |$)/.test(words)
  )
    return 'maybe'
  // A polite question is a demand: "can you please stop messaging me?"
  if (asks && has(hard) && has(contact) && isMe && rest <= 1) return 'stop'
  if (has(contact) && isMe && denies && !has(shop)) return rest > 4 ? 'maybe' : plainly(has(ending) ? Math.min(rest, 1) : rest)
  if (has(contact) && has(ending) && rest === 0 && tokens.length <= 4 && !about && !asks && !has(want)) return 'stop'
  const isUnwanted = has(message) || has(advert)
  if (has(bother) && denies && rest === 0 && tokens.length <= 6 && !asks && !about) return 'stop'
  if (has(sending) && denies) {
    if (has(hard) && rest === 0 && !about && !asks) return 'stop'
    if (isUnwanted || has(anything)) return rest === 0 ? plainly(0) : isUnwanted && rest <= 3 && !has(shop) ? 'maybe' : 'none'
    if (rest > 0 || !isMe || about || asks || tokens.length > 5) return 'none'
    return has(ending) || /[\u0600-\u06ff]/.test(joined) ? 'stop' : 'maybe'
  }
  if (has(want) && denies) {
    if (isUnwanted || has(contact) || (has(receive) && has(anything))) return asks || has(shop) ? 'none' : plainly(rest)
    if (!has(hard)) return 'none'
  }
  if (asks || about || rest > 0 || tokens.length > 7) return 'none'
  if (isUnwanted) return has(ending) || has(advert) ? 'stop' : 'maybe'
  const speaksOfSelf = tokens.includes('je') && tokens.includes('m')
  return has(hard) && !has(anything) && !speaksOfSelf ? 'stop' : 'none'
}
