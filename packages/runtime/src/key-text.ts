import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Bytes as `length` characters of base62, leading zeros kept; the length must be enough for them. */
export function toBase62(bytes: Uint8Array, length: number): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (let i = 0; i < length; i++) {
    text = alphabet[Number(value % 62n)] + text
    value /= 62n
  }
  return text
}

/** The bytes of a base62 text; undefined when it holds another character or more than `length` bytes. */
export function fromBase62(text: string, length: number): Buffer | undefined {
  let value = 0n
  for (const character of text) {
    const digit = alphabet.indexOf(character)
    if (digit === -1) return undefined
    value = value * 62n + BigInt(digit)
  }
  const hex = value.toString(16).padStart(length * 2, '0')
  return hex.length > length * 2 ? undefined : Buffer.from(hex, 'hex')
}

/** The last six characters of a key, over all before them: a typing mistake is seen without any look-up (reliability.md D42). */
export function checksumOf(body: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(body))
  return toBase62(bytes, 6)
}

/** What is stored of a key: HMAC-SHA-256 of its secret part under its id. A fast hash is right for 256 random bits. */
export function hashKeySecret(keyId: string, secret: string): Buffer {
  return createHmac('sha256', `parley.key.${keyId}`).update(secret).digest()
}
