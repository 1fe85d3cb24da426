import { lookup, type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { Agent, buildConnector } from 'undici'
import { isPublicAddress, refuseAddress } from './public-address.ts'

/** A name that leads into somebody's network. Its message says so and names no address of ours. */
export class AddressRefused extends Error {
  override name = 'AddressRefused'
  readonly code = 'ADDRESS_REFUSED'
}

export type ResolveAll = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

const resolveAll: ResolveAll = (hostname, done) => lookup(hostname, { all: true }, done)

/**
 * A look-up for net.connect that gives public addresses or fails: when one of a name's addresses is not public, none is used, because
 * such a name was made to get past us. Checked where the connection is made, so that a name cannot change its mind in between.
 */
export function publicLookup(resolve: ResolveAll = resolveAll): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      const first = addresses?.[0]
      if (error || first === undefined) {
        return callback(error ?? Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), '', 0)
      }
      if (!addresses.every(({ address }) => isPublicAddress(address))) {
        return callback(new AddressRefused(`${hostname} does not lead to public addresses only.`), '', 0)
      }
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

export interface GuardedAgentOptions {
  /** Origins that may be anywhere. */
  trusted: readonly string[]
  connections?: number
  connectTimeoutMs?: number
  resolve?: ResolveAll
}

/** A dispatcher for addresses that somebody gave us: https to public addresses, and the origins that the operator trusts. */
export function openGuardedAgent(options: GuardedAgentOptions): Agent {
  const { trusted, connections = 8, connectTimeoutMs = 3_000 } = options
  const direct = buildConnector({ timeout: connectTimeoutMs })
  const guarded = buildConnector({ timeout: connectTimeoutMs, lookup: publicLookup(options.resolve) })
  return new Agent({
    connections,
    connect: (target, callback) => {
      const origin = new URL(`${target.protocol}//${target.host ?? target.hostname}`).origin
      if (trusted.includes(origin)) return direct(target, callback)
      // An address written as a number is never looked up, so it is judged here.
      const problem = refuseAddress(origin, trusted)
      if (problem !== undefined) return callback(new AddressRefused(`${target.hostname} ${problem}.`), null)
      guarded(target, callback)
    },
  })
}
