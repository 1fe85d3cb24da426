/**
 * Characters that a reader does not see but a model, a terminal or Postgres does: controls (a NUL cannot be stored at all),
 * bidirectional overrides, zero-width marks, and the tag block that hides whole sentences in one emoji. The joiners U+200C and
 * U+200D stay: Persian and family emoji need them.
 */
const invisible =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E0FFF}]/gu

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
    .replace(/[\u0300-\u036f\u0640\u064b-\u065f\u200c\u200d]/g, '')
    .toLowerCase()
    .replace(/[\u0370-\u058f]/g, (letter) => lookalikes.get(letter) ?? letter)
    .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replace(/\s+/g, ' ')
    .trim()
}
