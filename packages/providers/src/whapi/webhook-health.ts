import type { ChannelStatus } from '@parley/contracts'
import { type Fields, fields, word } from '../webhook/fields.ts'

export interface ChannelState {
  status: ChannelStatus
  needsPerson: boolean
  providerStatus: string | null
}

/** By the word, not the code: 4 is only a guess of a fixture author (providers.md §1). */
const byWord: ReadonlyMap<string, ChannelStatus> = new Map([
  ['INIT', 'starting'],
  ['LAUNCH', 'starting'],
  ['QR', 'waiting_for_login'],
  ['AUTH', 'connected'],
  ['ERROR', 'error'],
  ['SYNC_ERROR', 'error'],
  ['STOP', 'error'],
])

/**
 * What became of the linked phone. `users.delete` is the log-out itself; asking for a QR code means nobody is logged in.
 * A word we do not know raises no alarm but is reported as `unknown`.
 */
export function channelStatus(type: string, verb: string, body: Fields): ChannelState {
  if (type === 'users') {
    return verb === 'delete'
      ? { status: 'logged_out', needsPerson: true, providerStatus: 'logged_out' }
      : { status: 'connected', needsPerson: false, providerStatus: 'logged_in' }
  }
  if (body.health === undefined && body.qr !== undefined) {
    return { status: 'waiting_for_login', needsPerson: true, providerStatus: word(fields(body.qr).status, 128) }
  }
  const health = fields(body.health)
  const providerStatus = word(fields(health.status).text, 128) ?? word(health.status, 128)
  const status = byWord.get(providerStatus?.toUpperCase() ?? '') ?? 'unknown'
  return { status, needsPerson: status === 'waiting_for_login' || status === 'error', providerStatus }
}
