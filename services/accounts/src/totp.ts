import { createHmac, timingSafeEqual } from 'node:crypto'

const stepSeconds = 30
const digits = 6
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 base32 without padding, as authenticator apps want it. */
export function base32(bytes: Uint8Array): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}

/** The code of one time step: RFC 4226 with HMAC-SHA-1, which is what every authenticator app does. */
export function totpCode(secret: Uint8Array, step: number, length = digits): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = (mac.at(-1) as number) & 15
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** length).padStart(length, '0')
}

export const stepAt = (now: Date): number => Math.floor(now.getTime() / 1000 / stepSeconds)

/** Whether the app showed this code just now or within the minute before: no guess, whether it is still good or not. */
export function isShownCode(secret: Uint8Array, code: string, now: Date): boolean {
  const current = stepAt(now)
  return [current, current - 1, current - 2].some((step) => isCodeOf(secret, step, code))
}

/**
 * The step whose code this is: the current one only, so that a code lives thirty seconds (ASVS 5.0, 6.5.5). A clock that is wrong shows when the
 * app is set up, not when somebody has to get in. Not one that was taken before, nor any older one: a code is good once (RFC 6238, 5.2).
 * Undefined when it is none.
 */
export function matchStep(secret: Uint8Array, code: string, now: Date, lastStep: number | null): number | undefined {
  const current = stepAt(now)
  if (lastStep !== null && current <= lastStep) return undefined
  return isCodeOf(secret, current, code) ? current : undefined
}

const isCodeOf = (secret: Uint8Array, step: number, code: string): boolean =>
  /^\d{6}$/.test(code) && timingSafeEqual(Buffer.from(totpCode(secret, step)), Buffer.from(code))

/** What an authenticator app scans. */
export function otpauthUri(secret: Uint8Array, email: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(email)}`
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=${stepSeconds}`
}
