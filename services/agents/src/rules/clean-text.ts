/**
 * Characters that a reader does not see but a model, a terminal or Postgres does: controls (a NUL cannot be stored at all),
 * bidirectional overrides, zero-width marks, and the tag block that hides whole sentences in one emoji. The joiners U+200C and
 * U+200D stay: Persian and family emoji need them.
 */
const invisibleRanges = [
  [0x0, 0x8],
  [0xb, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff],
]
const invisible = new RegExp(`[${invisibleRanges.map((range) => range.map(escaped).join('-')).join('')}]`, 'gu')

function escaped(codePoint: number): string {
  return `\\u{${codePoint.toString(16)}}`
}

/** The text without invisible characters and lone surrogates, with plain line ends. */
export function cleanText(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, '\n').replace(invisible, '')
}

/** The beginning of a text, at most `maxLength` UTF-16 units, never ending inside a surrogate pair; cut texts end in '…'. */
export function clipText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  return `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

/** Greek, Cyrillic and Armenian letters and the Latin ones that they look like, pairwise. */
const lookalikePairs = 'аaеeоoрpсcуyхxіiјjѕsԁdһhոnοoαaεeιiνvρpτtѵvԛqԝwкkмmтtвbнh'
const lookalikes = new Map(
  Array.from({ length: lookalikePairs.length / 2 }, (_, i) => [lookalikePairs[2 * i], lookalikePairs[2 * i + 1]]),
)

/** For comparing only: lower case, no accents (Arabic: no hamza on its letter), look-alikes as Latin, ASCII digits, single spaces. A word cannot slip past a rule by its spelling. */
export function foldText(text: string): string {
  return cleanText(text)
    .normalize('NFKD')
    .replace(/\p{Mn}|\u0640|\u200c|\u200d/gu, '')
    .toLowerCase()
    .replace(/[\u0370-\u058f]/g, (letter) => lookalikes.get(letter) ?? letter)
    .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replace(/\s+/g, ' ')
    .trim()
}
