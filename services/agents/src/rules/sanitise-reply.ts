import { cleanText, clipText } from './clean-text.ts'
import { hasPlaceholder, type MaskedValue, unmask } from './masking.ts'
import { type BrokenRule, findPromise } from './promises.ts'
import { leaksPrompt } from './prompt.ts'

/** The longest text that a channel takes in one piece (WhatsApp Cloud API: 4,096). */
export const maxReplyLength = 4_096

export interface ReplyRules {
  /** Links to these hosts and their subdomains may stay; lower case. */
  allowedHosts: readonly string[]
  /** What the shop's owner wrote: only from there may amounts, codes and addresses be repeated. */
  ownerText: string
  canary: string
  masked: readonly MaskedValue[]
}

type OtherRule = 'prompt_leak' | 'unknown_address' | 'unknown_number' | 'unresolved_placeholder' | 'nothing_left'

export type ReplyFault = BrokenRule | { rule: OtherRule; detail: string }

export type SanitisedReply =
  /** `removed` names what was taken out on the way. */
  { ok: true; text: string; removed: string[] } | { ok: false; fault: ReplyFault }

// No pattern may read on past the beginning of its own next match: a reply of 1,000 half links would take a second.
const image = /!\[[^[\]\n]{0,500}\]\s{0,3}(?:\([^()\n]{0,2000}\)|\[[^[\]\n]{0,200}\])/g
const markdownLink = /\[([^[\]\n]{1,500})\]\(\s{0,3}<?([^()<>\s]{1,2000})>?[^()\n]{0,200}\)/g
const html = /<[a-z!/][^<>\n]{0,2000}>/gi
/** Any scheme, www., or a bare name that a chat app would turn into a link. An e-mail address is not one. */
const link =
  /(?<![\p{L}\p{N}@._-])(?:[a-z][a-z0-9+.-]{1,20}:(?:\/\/|\\\\)[^\s]{1,2000}|(?:mailto|tel|javascript|data|sms|whatsapp):[^\s]{1,2000}|www\.[^\s]{1,2000}|(?:[\p{L}\p{N}-]{1,63}\.){1,8}(?:com|net|org|info|biz|io|ai|co|me|app|dev|shop|store|online|site|xyz|top|link|click|live|page|zip|mov|icu|buzz|cam|cyou|sbs|rest|monster|quest|cfd|lol|bond|win|bid|loan|date|men|party|review|science|stream|trade|webcam|work|download|racing|space|website|tech|club|vip|fun|pro|mobi|name|email|cloud|host|press|help|support|finance|money|cash|bank|gift|gifts|deals|sale|promo|world|today|email|network|digital|agency|services|solutions|web|wiki|blog|ly|gl|gg|to|tv|cc|ws|ru|cn|uk|fr|de|es|it|pt|nl|be|ch|eu|us|ca|in|ma|dz|tn|ae|sa|eg|sn|ci|[\p{L}\p{N}]{2,24}(?=[/:?#]))(?![\p{L}\p{N}-])(?:[/:?#][^\s]{0,2000})?)/giu
const email = /[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/u
const phone = /(?<![\p{L}\p{N}])(?:\+|00|0)\d(?:[ ().-]{0,3}\d){7,14}(?![\p{L}\p{N}])/u

/**
 * What a customer may read of a model's reply. Links, images and markup are taken out; words that nobody but code or a person may
 * say refuse the reply as a whole, because half of a promise is still one. The caller then says a fixed sentence.
 */
export function sanitiseReply(reply: string, rules: ReplyRules): SanitisedReply {
  if (leaksPrompt(reply, rules.canary)) return refuse('prompt_leak', 'The reply repeats the prompt.')
  const { text: plain, removed } = withoutLinks(cleanText(reply.normalize('NFC')), rules.allowedHosts)

  const address = email.exec(plain)?.[0]
  if (address !== undefined && !rules.ownerText.includes(address)) return refuse('unknown_address', address)
  const number = phone.exec(plain)?.[0]
  if (number !== undefined && !digitsOf(rules.ownerText).includes(digitsOf(number))) return refuse('unknown_number', number)
  const promise = findPromise(plain, rules.ownerText)
  if (promise) return { ok: false, fault: promise }

  const text = unmask(plain, rules.masked)
  if (hasPlaceholder(text)) return refuse('unresolved_placeholder', text.slice(Math.max(0, text.indexOf('{{'))))
  if (!/[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(text)) return refuse('nothing_left', 'Nothing is left of the reply.')
  return { ok: true, text: clipText(text, maxReplyLength), removed }
}

function withoutLinks(text: string, allowedHosts: readonly string[]): { text: string; removed: string[] } {
  const removed = new Set<string>()
  const take = (what: string, instead: string) => {
    removed.add(what)
    return instead
  }
  const plain = text
    .replace(image, () => take('image', ''))
    .replace(markdownLink, (_, words: string, target: string) =>
      isAllowed(target, allowedHosts) ? `${words}: ${target}` : take('link', words),
    )
    .replace(html, () => take('markup', ''))
    .replace(link, (found) => {
      const target = withoutTrail(found)
      return isAllowed(target, allowedHosts) ? found : take('link', found.slice(target.length))
    })
    .replace(/[ \t]{2,}/g, ' ')
    // The gap that a removed link leaves; French spacing before "!", "?", ";" and ":" stays.
    .replace(/ (?=[.,\n]|$)/g, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
  return { text: plain, removed: [...removed] }
}

/** A link ends before the punctuation of its sentence, and before a bracket that it did not open. */
function withoutTrail(found: string): string {
  return found.replace(found.includes('(') ? /[.,;:!?\]}'"»]+$/ : /[.,;:!?)\]}'"»]+$/, '')
}

/** Only http and https, no user name before the host (`https://shop.com@evil.com`), the host itself or below it. */
function isAllowed(target: string, allowedHosts: readonly string[]): boolean {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:/i.test(target) ? target : `https://${target}`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return false
  return allowedHosts.some((host) => url.hostname === host || url.hostname.endsWith(`.${host}`))
}

function digitsOf(text: string): string {
  return text.replace(/\D/g, '')
}

function refuse(rule: OtherRule, detail: string): SanitisedReply {
  return { ok: false, fault: { rule, detail: detail.slice(0, 120) } }
}
