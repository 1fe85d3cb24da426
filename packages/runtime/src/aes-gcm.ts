import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** Where a sealed text lives. It is authenticated with the text: copied into another row or organization, it does not open. */
export interface SealedPlace {
  organizationId: string
  table: string
  column: string
  row: string
}

/** A sealed text that none of our keys opens in this place: a wrong key, a moved row, or a changed byte. */
export class SealBroken extends Error {
  override name = 'SealBroken'
}

/** What stands before a sealed text in clear, and is authenticated with it: the form, and which key it is. */
export type SealHead = readonly [form: string, key: string | number]

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/**
 * `<form>.<key>.<base64url of nonce, ciphertext and tag>`, with AES-256-GCM under a key of 32 bytes. Nonces are random 96-bit numbers, so
 * one key may seal 2^32 texts at most (reliability.md D41).
 */
export function encryptText(key: Uint8Array, head: SealHead, place: SealedPlace, text: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(authenticated(head, place))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `${head.join('.')}.${sealed.toString('base64url')}`
}

/** The text behind what stands after the head. Throws SealBroken, which never tells the text nor the key. */
export function decryptText(key: Uint8Array, head: SealHead, place: SealedPlace, payload: string): string {
  const bytes = Buffer.from(payload, 'base64url')
  if (bytes.length < nonceBytes + tagBytes) throw new SealBroken('The sealed text is cut short.')
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(authenticated(head, place))
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
  try {
    const text = decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes))
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch (cause) {
    throw new SealBroken(`The sealed text of ${place.table}.${place.column} does not belong to this row, or was changed.`, {
      cause,
    })
  }
}

// A JSON array keeps the parts apart: ("a", "bc") and ("ab", "c") must not authenticate alike.
function authenticated(head: SealHead, { organizationId, table, column, row }: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify([...head, organizationId, table, column, row]))
}
