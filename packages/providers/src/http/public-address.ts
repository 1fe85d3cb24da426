import { BlockList, isIP } from 'node:net'

/** IPv4 that is not the public internet (IANA special-purpose registry): private, shared, loopback, link-local, documentation, … */
const specialIpv4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/** Within 2000::/3, what wraps IPv4 (Teredo, 6to4) or is documentation. All outside it is refused: mapped, NAT64, SRv6, local. */
const specialIpv6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
]

function listOf(type: 'ipv4' | 'ipv6', subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, type)
  return list
}

const blockedIpv4 = listOf('ipv4', specialIpv4)
const blockedIpv6 = listOf('ipv6', specialIpv6)
const globalIpv6 = listOf('ipv6', [['2000::', 3]])

/** True for an address of the public internet, and for nothing inside anybody's network (reliability.md D28). */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !blockedIpv4.check(address, 'ipv4')
  // A zone names a network card, which is never public.
  if (family !== 6 || address.includes('%')) return false
  return globalIpv6.check(address, 'ipv6') && !blockedIpv6.check(address, 'ipv6')
}

/** Ports that a stranger's address may name. Below 1024 live the services that must not be spoken to through us. */
const isAllowedPort = (port: number) => port === 443 || port >= 1_024

/**
 * Why an address that somebody gave us may not be called; undefined when it may, as far as its text goes: what its name resolves to is
 * looked at when connecting. `trusted` are origins that the operator listed: simulators, servers of their own.
 */
export function refuseAddress(text: string, trusted: readonly string[]): string | undefined {
  const url = URL.parse(text)
  if (!url) return 'is not an address'
  if (url.username !== '' || url.password !== '') return 'must not carry a user or password'
  if (trusted.includes(url.origin)) return undefined
  if (url.protocol !== 'https:') return 'must begin with https://'
  if (!isAllowedPort(Number(url.port || 443))) return `must not name port ${url.port}`
  return refuseHost(url.hostname)
}

/** The same for a host alone, as mail servers are named. */
export function refuseHost(hostname: string): string | undefined {
  const literal = hostname.replace(/^\[|\]$/g, '')
  if (isIP(literal) !== 0) return isPublicAddress(literal) ? undefined : 'is not a public address'
  // A name without a dot, and these endings, mean something inside the network only.
  const name = hostname.replace(/\.$/, '').toLowerCase()
  const isLocal = !name.includes('.') || /\.(?:localhost|local|internal|intranet|lan|home|corp|home\.arpa|arpa)$/.test(name)
  return isLocal ? 'is not a public name' : undefined
}
