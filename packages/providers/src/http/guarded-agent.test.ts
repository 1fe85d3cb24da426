import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { exchange } from './exchange.ts'
import { openGuardedAgent, type ResolveAll } from './guarded-agent.ts'
import { isPublicAddress, refuseAddress, refuseHost } from './public-address.ts'

describe('an address inside somebody’s network', () => {
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:a00:1::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'not an address',
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false))

  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4007::1'])(
    '%s is public',
    (address) => expect(isPublicAddress(address)).toBe(true),
  )
})

describe('what somebody writes as an address', () => {
  test.each([
    'https://gate.whapi.cloud',
    'https://api.openai.com/v1',
    'https://example.com:8443/a',
    'https://8.8.8.8/',
    'https://[2606:4700::1111]/',
  ])('%s may be called', (text) => expect(refuseAddress(text, [])).toBeUndefined())

  test.each([
    'http://gate.whapi.cloud',
    'ftp://gate.whapi.cloud',
    'https://user:pass@gate.whapi.cloud',
    'https://gate.whapi.cloud:22',
    'https://127.0.0.1',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://localhost/',
    'https://metadata/',
    'https://db.svc.cluster.local/',
    'https://metadata.google.internal./',
    'nonsense',
  ])('%s is refused', (text) => expect(refuseAddress(text, [])).toBeTypeOf('string'))

  test('an origin that the operator listed may be anywhere, and only that one', () => {
    const trusted = ['http://127.0.0.1:4010']
    expect(refuseAddress('http://127.0.0.1:4010/v1', trusted)).toBeUndefined()
    expect(refuseAddress('http://127.0.0.1:4011/v1', trusted)).toBeTypeOf('string')
    expect(refuseAddress('http://u:p@127.0.0.1:4010/v1', trusted)).toBeTypeOf('string')
  })

  test('a mail server is a public name or number', () => {
    expect(['smtp.example.com', '8.8.8.8'].map(refuseHost)).toEqual([undefined, undefined])
    for (const host of ['localhost', 'mail', 'mail.lan', '10.0.0.1', '[::1]']) expect(refuseHost(host)).toBeTypeOf('string')
  })
})

describe('a call to an address that somebody gave', () => {
  const get = (agent: ReturnType<typeof openGuardedAgent>, url: string) =>
    exchange(agent, { method: 'GET', url, headers: {}, timeoutMs: 3_000, maxAnswerBytes: 1_024 })

  async function withServer<T>(work: (origin: string, port: number) => Promise<T>): Promise<T> {
    const server = createServer((_request, response) => response.end('inside')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    try {
      return await work(`http://127.0.0.1:${port}`, port)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  test('a name that leads inside is not connected to, also when only one of its addresses does', async () => {
    for (const addresses of [['127.0.0.1'], ['8.8.8.8', '10.0.0.1'], ['::ffff:127.0.0.1']]) {
      const resolve: ResolveAll = (_name, done) =>
        done(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )
      const agent = openGuardedAgent({ trusted: [], resolve })
      const answer = await get(agent, 'https://rebinding.example:8443/')
      expect(answer).toMatchObject({ ok: false, reason: 'connection', written: false })
      expect(answer.ok === false && answer.message).toContain('ADDRESS_REFUSED')
      await agent.destroy()
    }
  })

  test('a number inside the network is refused although no name is looked up', async () => {
    await withServer(async (origin) => {
      const agent = openGuardedAgent({ trusted: [] })
      expect(await get(agent, `${origin}/`)).toMatchObject({ ok: false, written: false })
      await agent.destroy()
    })
  })

  test('a trusted origin answers, and another port of the same host does not', async () => {
    await withServer(async (origin, port) => {
      const agent = openGuardedAgent({ trusted: [origin] })
      const answer = await get(agent, `${origin}/`)
      expect(answer.ok && answer.body.toString()).toBe('inside')
      expect(await get(agent, `http://127.0.0.1:${port === 65_535 ? port - 1 : port + 1}/`)).toMatchObject({ ok: false })
      await agent.destroy()
    })
  })
})
