import { isCommon } from './common-passwords.ts'

export const shortestPassword = 8
const longestPassword = 128

/**
 * One password has one form, whatever keyboard wrote its accents (NIST SP 800-63B, 3.1.1.2): a phone sends é as one character, a Mac may
 * send it as two. Nothing is cut off or trimmed.
 */
export const normalPassword = (password: string): string => password.normalize('NFKC')

/** Words of this service itself, for docs/security.md; words of the person and of their organizations come on top. */
const contextWords: readonly string[] = ['parley']

/** Whom a password would be for: what somebody who knows them guesses first. */
export interface PasswordOwner {
  email: string
  names?: readonly (string | null)[]
  organizations?: readonly string[]
}

/** The words of some names; short ones (`al`, `jo`, `the`) are in half of all words. */
const wordsOf = (names: readonly (string | null)[]): string[] =>
  names.flatMap((name) => (name ?? '').toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length >= 4)

/**
 * Why a password must not be taken, in a sentence for who chose it; undefined when it may. `common` are the passwords that are tried first, in
 * lower case. No kinds of character are asked for.
 */
export function refusePassword(
  password: string,
  { email, names = [], organizations = [] }: PasswordOwner,
  common: ReadonlySet<string>,
): string | undefined {
  const text = normalPassword(password)
  const length = Array.from(text).length
  if (length < shortestPassword) return `It must have at least ${shortestPassword} characters.`
  if (length > longestPassword) return `It must have at most ${longestPassword} characters.`
  if (isCommon(text, common)) return 'It is one of the passwords that are tried first.'
  const lower = text.toLowerCase()
  const own = [email, email.split('@')[0] ?? ''].map((part) => part.toLowerCase()).filter((part) => part.length >= 4)
  if ([...own, ...wordsOf(names)].some((word) => lower.includes(word))) return 'It must not contain your name or e-mail address.'
  if ([...contextWords, ...wordsOf(organizations)].some((word) => lower.includes(word)))
    return 'It must not contain a word of the name of your organization or of this service.'
  return undefined
}
