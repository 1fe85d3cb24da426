import { randomBytes } from 'node:crypto'

// Crockford's letters: none of them is taken for another when somebody copies it.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** A random code for people to copy, in groups of four; five bits a letter. */
export function newCode(letters: number): string {
  const text = Array.from(randomBytes(letters), (byte) => alphabet[byte % 32]).join('')
  return text.replace(/(.{4})(?=.)/g, '$1-')
}

/** A code as it was given out, however it was written down. */
export const plainCode = (code: string): string =>
  code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
