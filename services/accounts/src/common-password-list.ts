import { dictionary } from '@zxcvbn-ts/language-common'
import { shortestPassword } from './rules/password.ts'

/**
 * The passwords that people are known to choose most, long enough to be chosen here: 17,950 of them, in lower case. ASVS 5.0 (6.2.4) asks for
 * the first 3,000. The package ships its data with it (MIT licence), so nothing is fetched, neither now nor when it is installed.
 */
export const commonPasswords: ReadonlySet<string> = new Set(
  dictionary['passwords-common'].map((word) => word.toLowerCase()).filter((word) => Array.from(word).length >= shortestPassword),
)
