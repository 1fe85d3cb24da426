import { openText, type SealingKeys, sealText } from '@parley/runtime'
import { sealedPlace } from './sealed-texts.ts'

export const sealTotp = (keys: SealingKeys, userId: string, secret: Uint8Array): string =>
  sealText(keys, sealedPlace('users', userId), Buffer.from(secret).toString('base64'))

export const openTotp = (keys: SealingKeys, userId: string, sealed: string): Buffer =>
  Buffer.from(openText(keys, sealedPlace('users', userId), sealed), 'base64')
