import { lookup } from 'node:dns/promises'
import { isPublicAddress, refuseHost } from '@parley/providers/http'
import { createTransport } from 'nodemailer'
import type { ConnectionSettings } from '../db/connection-tables.ts'
import { type ConnectionTest, testTimeoutMs } from './outcome.ts'

// Below these, a mail server's port is a door to something else.
const mailPorts = new Set([25, 465, 587, 2_465, 2_525, 2_587])

/** Why a mail server may not be called; undefined when it may, as far as its name goes. */
export function refuseMailServer({ host, port }: ConnectionSettings, trusted: readonly string[]): string | undefined {
  if (trusted.includes(`smtp://${String(host)}:${String(port)}`)) return undefined
  return refuseHost(String(host)) ?? (mailPorts.has(Number(port)) ? undefined : `must not name port ${String(port)}`)
}

/** Signs in at a mail server and leaves again. */
export async function askMailServer(
  settings: ConnectionSettings,
  credentials: Readonly<Record<string, string>>,
  trusted: readonly string[],
): Promise<ConnectionTest> {
  const { host, port, encryption } = settings
  const isTrusted = trusted.includes(`smtp://${String(host)}:${String(port)}`)
  const address = await addressOf(String(host).replace(/^\[|\]$/g, ''), isTrusted)
  if (address === undefined) return unreachable('The name does not lead to public addresses.')
  const transport = createTransport({
    // The address that was looked at, not the name: it cannot lead elsewhere a moment later.
    host: address,
    port: Number(port),
    secure: encryption === 'tls',
    // A trusted server is the operator's own, on his own machine.
    ...(encryption === 'tls' || isTrusted ? {} : { requireTLS: true }),
    tls: { servername: String(host) },
    auth: { user: credentials['username'] ?? '', pass: credentials['password'] ?? '' },
    connectionTimeout: testTimeoutMs - 2_000,
    greetingTimeout: testTimeoutMs - 2_000,
    socketTimeout: testTimeoutMs - 1_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<ConnectionTest>((resolve) => {
    timer = setTimeout(() => resolve(unreachable(`No answer within ${testTimeoutMs} ms.`)), testTimeoutMs)
  })
  try {
    return await Promise.race([verified(transport.verify()), late])
  } finally {
    clearTimeout(timer)
    transport.close()
  }
}

async function verified(verify: Promise<unknown>): Promise<ConnectionTest> {
  try {
    await verify
    return { outcome: 'ok', detail: null, rateLimit: null }
  } catch (error) {
    const { code, responseCode, message } = error as { code?: unknown; responseCode?: unknown; message?: unknown }
    const detail = String(message)
    // 4xx to a sign-in is "not now" (RFC 4954), 5xx is no.
    const isRefused = code === 'EAUTH' && !(typeof responseCode === 'number' && responseCode < 500)
    return isRefused ? { outcome: 'refused', detail, rateLimit: null } : unreachable(detail)
  }
}

async function addressOf(host: string, isTrusted: boolean): Promise<string | undefined> {
  try {
    const addresses = await lookup(host, { all: true })
    if (!isTrusted && !addresses.every(({ address }) => isPublicAddress(address))) return undefined
    return addresses[0]?.address
  } catch {
    // A name that nobody knows leads nowhere; what else is wrong with names, the next try will tell.
    return undefined
  }
}

const unreachable = (detail: string): ConnectionTest => ({ outcome: 'unreachable', detail, rateLimit: null })
