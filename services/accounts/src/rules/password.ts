import { isCommon } from './common-passwords.ts'

export const shortestPassword = 8
export const longestPassword = 128

/**
 * One password has one form, whatever keyboard wrote its accents (NIST SP 800-63B, 3.1.1.2): a phone sends é as one character, a Mac may
 * send it as two. Nothing is cut off or trimmed.
 */
export const normalPassword = (password: string): string => password.normalize('NFKC')

/** Why a password must not be taken, in a sentence for who chose it; undefined when it may. No kinds of character are asked for. */
export function refusePassword(
  password: string,
  person: { email: string; names?: readonly (string | null)[] },
): string | undefined {
  const text = normalPassword(password)
  const length = Array.from(text).length
  if (length < shortestPassword) return `It must have at least ${shortestPassword} characters.`
  if (length > longestPassword) return `It must have at most ${longestPassword} characters.`
  if (isCommon(text)) return 'It is one of the passwords that are tried first.'
  const lower = text.toLowerCase()
  const own = [person.email, person.email.split('@')[0] ?? '', ...(person.names ?? [])]
  // Short parts (`al`, `jo`) are in half of all words.
  if (own.some((part) => part !== null && part.length >= 4 && lower.includes(part.toLowerCase())))
    return 'It must not contain your name or e-mail address.'
  return undefined
}
