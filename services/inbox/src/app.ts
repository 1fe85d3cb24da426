import { createHmac } from 'node:crypto'
import { kit, type OpenContext, type Secret, secret, sealingKey } from '@parley/runtime'
import { z } from 'zod'
import type { DB } from './db/types.ts'
import { identityHash } from './identity-hash.ts'
import type { Identity } from './rules/identity.ts'
import { createStreams, type Streams } from './stream/streams.ts'

export const Config = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  /**
   * Keys the hashes of erased identities; by default a key derived from PARLEY_SECRET_KEY. Set it before that key changes, or
   * late deliveries of people erased until then are no longer recognised.
   */
  INBOX_SUPPRESSION_KEY: secret(32).optional(),
})
export type Config = { PARLEY_SECRET_KEY: Secret; INBOX_SUPPRESSION_KEY?: Secret | undefined }

export interface App extends Pick<OpenContext<DB, Config>, 'eraseEvents'> {
  now(): Date
  /** The keyed hash under which an erased identity stays recognisable. */
  hashIdentity(identity: Identity): string
  streams: Streams
}

export const { on, job, route } = kit<App, DB>()

export async function open({ config, database, eraseEvents, log, now }: OpenContext<DB, Config>): Promise<App> {
  const derived = () => createHmac('sha256', config.PARLEY_SECRET_KEY.reveal()).update('inbox suppression').digest('hex')
  const key = config.INBOX_SUPPRESSION_KEY?.reveal() ?? derived()
  const hashIdentity = (identity: Identity) => identityHash(key, identity)
  return { now, hashIdentity, eraseEvents, streams: createStreams({ database, log }) }
}
