/** Letters of other alphabets, and small capitals, that are drawn like a Latin letter. NFKD folds bold, circled and full-width ones itself. */
const drawnAlike: Record<string, string> = {
  а: 'a',
  в: 'b',
  с: 'c',
  ԁ: 'd',
  е: 'e',
  ғ: 'f',
  ԍ: 'g',
  һ: 'h',
  н: 'h',
  і: 'i',
  ј: 'j',
  к: 'k',
  ӏ: 'l',
  м: 'm',
  ո: 'n',
  о: 'o',
  р: 'p',
  ԛ: 'q',
  ѕ: 's',
  т: 't',
  ս: 'u',
  ѵ: 'v',
  ԝ: 'w',
  х: 'x',
  у: 'y',
  α: 'a',
  β: 'b',
  ε: 'e',
  ι: 'i',
  κ: 'k',
  ν: 'v',
  ο: 'o',
  ρ: 'p',
  σ: 's',
  ς: 's',
  τ: 't',
  υ: 'u',
  χ: 'x',
  γ: 'y',
  ᴀ: 'a',
  ʙ: 'b',
  ᴄ: 'c',
  ᴅ: 'd',
  ᴇ: 'e',
  ꜰ: 'f',
  ɢ: 'g',
  ʜ: 'h',
  ɪ: 'i',
  ᴊ: 'j',
  ᴋ: 'k',
  ʟ: 'l',
  ᴍ: 'm',
  ɴ: 'n',
  ᴏ: 'o',
  ᴘ: 'p',
  ʀ: 'r',
  ꜱ: 's',
  ᴛ: 't',
  ᴜ: 'u',
  ᴠ: 'v',
  ᴡ: 'w',
  ʏ: 'y',
  ᴢ: 'z',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ı: 'i',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
}
/** Letters as signs: 🅐, 🅰 and the flags' 🇦, each alphabet in one row. */
const signs = [0x1f150, 0x1f170, 0x1f1e6] as const

function letterOf(sign: string): string {
  const code = sign.codePointAt(0) as number
  const row = signs.find((first) => code >= first && code < first + 26)
  return row === undefined ? sign : String.fromCharCode(97 + code - row)
}

/** What a person reads in a text, as far as it is Latin: other letters that look like these become these. */
export const latinLookAlikes = (token: string): string => Array.from(token, (letter) => drawnAlike[letter] ?? letter).join('')

/**
 * The words of a text in lower case without accents, punctuation, emoji or invisible characters. Format characters are removed, not turned
 * into spaces: a zero-width space may sit inside a word. NFKD also folds full-width letters and takes the hamza from an alef; the tatweel
 * only stretches a word, and alef maqsura and teh marbuta are written as their neighbours are.
 */
export function tokensOf(text: string): string[] {
  return folded(text.slice(0, 2_000))
    .split(/[^\p{L}\p{N}]+/u)
    .filter((token) => token !== '')
}

/** A text as its words are compared. */
export function folded(text: string): string {
  return text
    .replaceAll('🛑', ' stop ')
    .replace(/[\u{1f150}-\u{1f169}\u{1f170}-\u{1f189}\u{1f1e6}-\u{1f1ff}]/gu, letterOf)
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\u0640]/gu, '')
    .replaceAll('ى', 'ي')
    .replaceAll('ة', 'ه')
    .toLowerCase()
}
