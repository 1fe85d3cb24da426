import type { SealedCredentials } from '@parley/contracts'
import { randomBytes } from 'node:crypto'
import { decryptText, encryptText, type SealHead } from './aes-gcm.ts'
import { openText, SealBroken, type SealedPlace, type SealingKeys, sealText } from './sealed.ts'

/**
 * Credentials are sealed with a key of their organization, and that key with the installation's (reliability.md D41): to change the
 * installation's key, one short text for each organization is wrapped anew, and nothing that is sealed has to be opened for it.
 */
export interface DataKey {
  readonly organizationId: string
  /** Rises with each new data key of the organization. */
  readonly version: number
  readonly key: Uint8Array
}

const form = 'd1'
const keyBytes = 32

const placeOfKey = (organizationId: string, version: number): SealedPlace => ({
  organizationId,
  table: 'encryption_keys',
  column: 'wrapped',
  row: String(version),
})

/** Where the credentials of a connection are sealed, whoever opens them. */
export function credentialsPlace(organizationId: string, connectionId: string): SealedPlace {
  return { organizationId, table: 'connections', column: 'sealed_credentials', row: connectionId }
}

/** A new data key, and the form in which it is stored. */
export function makeDataKey(keys: SealingKeys, organizationId: string, version: number): { dataKey: DataKey; wrapped: string } {
  const dataKey = { organizationId, version, key: randomBytes(keyBytes) }
  return { dataKey, wrapped: wrapDataKey(keys, dataKey) }
}

/** The data key under the installation's current key. */
export function wrapDataKey(keys: SealingKeys, { organizationId, version, key }: DataKey): string {
  return sealText(keys, placeOfKey(organizationId, version), Buffer.from(key).toString('base64'))
}

/** Throws SealBroken when it is not this organization's key of this version, or wrapped with a key that we do not have. */
export function unwrapDataKey(keys: SealingKeys, organizationId: string, version: number, wrapped: string): DataKey {
  const key = Buffer.from(openText(keys, placeOfKey(organizationId, version), wrapped), 'base64')
  if (key.length !== keyBytes) throw new SealBroken(`A data key has ${keyBytes} bytes.`)
  return { organizationId, version, key }
}

/** Seals a text for one place: `d1.<key version>.<base64url>`. Good for 2^32 texts under one key. */
export function sealWithDataKey(dataKey: DataKey, place: SealedPlace, text: string): string {
  return encryptText(dataKey.key, headOf(dataKey, place), place, text)
}

/** The text sealed for this very place. Throws SealBroken, which never tells the text nor a key. */
export function openWithDataKey(dataKey: DataKey, place: SealedPlace, sealed: string): string {
  const [found, version, payload, ...rest] = sealed.split('.')
  if (found !== form || version !== String(dataKey.version) || payload === undefined || rest.length > 0) {
    throw new SealBroken(`Not a text sealed in form ${form} with version ${dataKey.version} of the data key.`)
  }
  return decryptText(dataKey.key, headOf(dataKey, place), place, payload)
}

/** Credentials by field, as they travel and are stored. */
export type Credentials = Readonly<Record<string, string>>

export function sealCredentials(dataKey: DataKey, place: SealedPlace, credentials: Credentials): string {
  return sealWithDataKey(dataKey, place, JSON.stringify(credentials))
}

/** The credentials out of a `connection.changed`, or out of a row that kept them as they came. Throws SealBroken. */
export function openCredentials(keys: SealingKeys, place: SealedPlace, sealed: SealedCredentials): Credentials {
  const dataKey = unwrapDataKey(keys, place.organizationId, sealed.keyVersion, sealed.wrappedKey)
  const fields: unknown = JSON.parse(openWithDataKey(dataKey, place, sealed.sealed))
  if (typeof fields !== 'object' || fields === null || Object.values(fields).some((value) => typeof value !== 'string')) {
    throw new SealBroken('What was sealed are no credentials.')
  }
  return fields as Credentials
}

/** A data key belongs to one organization: it seals and opens nothing for another. */
function headOf(dataKey: DataKey, place: SealedPlace): SealHead {
  if (place.organizationId !== dataKey.organizationId) throw new SealBroken('The data key is of another organization.')
  return [form, dataKey.version]
}
