import { createServer, type Socket } from 'node:net'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Dispatcher, openGuardedAgent } from '@parley/providers/http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConnectionUnderTest } from './outcome.ts'
import { testConnection, type Tester } from './test-connection.ts'

/** A provider that answers what it is told to, whatever host it is called by. */
let provider: ReturnType<typeof createHttpServer>
let tester: Tester
let asked: { method: string; path: string; headers: IncomingMessage['headers']; host: string; body: string } | undefined
let reply: { status: number; body: unknown; headers?: Record<string, string> } | 'hang'
let origin: string

beforeAll(async () => {
  provider = createHttpServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      asked = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, host: asked?.host ?? '', body }
      if (reply === 'hang') return
      response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
      response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => provider.once('listening', resolve))
  origin = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const agent = openGuardedAgent({ trusted: [origin] })
  const elsewhere = {
    dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
      asked = { method: '', path: '', headers: {}, body: '', host: String(options.origin) }
      return agent.dispatch({ ...options, origin }, handler)
    },
  } as unknown as Dispatcher
  tester = { dispatcher: elsewhere, trusted: [], now: () => new Date('2026-11-21T10:00:00.000Z'), close: () => agent.destroy() }
})
beforeEach(() => {
  asked = undefined
  reply = { status: 200, body: {} }
})
afterAll(async () => {
  await tester?.close()
  provider?.closeAllConnections()
  provider?.close()
})

const sid = `AC${'0'.repeat(32)}`
const shop = 'maison-zoe.myshopify.com'
const shopIs = (myshopifyDomain: string) => ({ data: { shop: { myshopifyDomain } } })
const connections = {
  whapi: { accountId: 'PHONE-1', settings: {}, credentials: { token: 'whapi-token-1234' } },
  shopify: { accountId: shop, settings: { apiVersion: '2026-07' }, credentials: { accessToken: 'shpat-0123456789abcdef' } },
  elevenlabs: { accountId: null, settings: {}, credentials: { apiKey: 'eleven-0123456789' } },
  tavus: { accountId: null, settings: {}, credentials: { apiKey: 'tavus-0123456789ab' } },
  openai: { accountId: null, settings: {}, credentials: { apiKey: 'sk-0123456789abcdef' } },
  twilio: { accountId: sid, settings: {}, credentials: { authToken: 'twilio-0123456789' } },
  sendgrid: { accountId: null, settings: {}, credentials: { apiKey: 'SG.0123456789abcdef' } },
  slack: { accountId: null, settings: {}, credentials: { botToken: 'xoxb-0123456789abc' } },
} as const
type Name = keyof typeof connections
const ask = (name: Name) => testConnection(tester, { provider: name, ...connections[name] } as unknown as ConnectionUnderTest)

const questions: [Name, string, string, [string, string], unknown][] = [
  [
    'whapi',
    'https://gate.whapi.cloud',
    'GET /health?wakeup=false',
    ['authorization', 'Bearer whapi-token-1234'],
    { status: { text: 'AUTH' } },
  ],
  [
    'shopify',
    `https://${shop}`,
    'POST /admin/api/2026-07/graphql.json',
    ['x-shopify-access-token', 'shpat-0123456789abcdef'],
    shopIs(shop),
  ],
  [
    'elevenlabs',
    'https://api.elevenlabs.io',
    'GET /v1/convai/conversations?page_size=1',
    ['xi-api-key', 'eleven-0123456789'],
    {},
  ],
  ['tavus', 'https://tavusapi.com', 'GET /v2/conversations?limit=1', ['x-api-key', 'tavus-0123456789ab'], {}],
  ['openai', 'https://api.openai.com', 'GET /v1/models', ['authorization', 'Bearer sk-0123456789abcdef'], { data: [] }],
  [
    'twilio',
    'https://api.twilio.com',
    `GET /2010-04-01/Accounts/${sid}.json`,
    ['authorization', `Basic ${Buffer.from(`${sid}:twilio-0123456789`).toString('base64')}`],
    {},
  ],
  ['sendgrid', 'https://api.sendgrid.com', 'GET /v3/scopes', ['authorization', 'Bearer SG.0123456789abcdef'], {}],
  ['slack', 'https://slack.com', 'POST /api/auth.test', ['authorization', 'Bearer xoxb-0123456789abc'], { ok: true }],
]

describe('a provider over HTTP', () => {
  test.each(questions)(
    '%s is asked its own question at its own address, and a yes is a yes',
    async (name, host, call, [header, value], body) => {
      reply = { status: 200, body }
      expect(await ask(name)).toMatchObject({ outcome: 'ok', detail: null })
      expect(asked?.host).toBe(host)
      expect(`${asked?.method} ${asked?.path}`).toBe(call)
      expect(asked?.headers[header]).toBe(value)
    },
  )

  test.each(questions.map(([name]) => name))(
    '%s that answers 401 refuses, and does not give the credentials away',
    async (name) => {
      const [secret] = Object.values(connections[name].credentials)
      reply = { status: 401, body: { error: { message: `No such key: ${secret}` } } }
      const result = await ask(name)
      expect(result.outcome).toBe('refused')
      expect(result.detail).toContain('•••')
      expect(result.detail).not.toContain(secret)
    },
  )

  test.each(questions.map(([name]) => name))(
    '%s that is in trouble, or somewhere else, says nothing about the credentials',
    async (name) => {
      for (const trouble of [
        { status: 500, body: {} },
        { status: 429, body: {} },
        { status: 302, body: {}, headers: { location: 'https://example.com' } },
      ]) {
        reply = trouble
        expect((await ask(name)).outcome).toBe('unreachable')
      }
    },
  )

  test('a page where an API should be is no yes', async () => {
    for (const name of ['shopify', 'openai', 'slack'] as const) {
      reply = { status: 200, body: '<html>Welcome</html>' }
      expect((await ask(name)).outcome).toBe('unreachable')
    }
  })

  test('a token of another shop is refused, and a shop that does not exist too', async () => {
    reply = { status: 200, body: shopIs('other.myshopify.com') }
    expect((await ask('shopify')).outcome).toBe('refused')
    reply = { status: 404, body: {} }
    expect((await ask('shopify')).outcome).toBe('refused')
  })

  test('Slack refuses with 200', async () => {
    reply = { status: 200, body: { ok: false, error: 'invalid_auth' } }
    expect(await ask('slack')).toMatchObject({ outcome: 'refused', detail: 'Slack says invalid_auth.' })
    reply = { status: 200, body: { ok: false, error: 'ratelimited' } }
    expect((await ask('slack')).outcome).toBe('unreachable')
  })

  test('a phone that is not linked is a good token all the same', async () => {
    reply = { status: 200, body: { status: { text: 'QR' } } }
    expect(await ask('whapi')).toMatchObject({ outcome: 'ok', detail: expect.stringContaining('QR') })
  })

  test('what the provider says of its limit is kept', async () => {
    reply = {
      status: 200,
      body: { data: [] },
      headers: { 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '1s' },
    }
    expect((await ask('openai')).rateLimit).toEqual({ remaining: 59, resetAt: '2026-11-21T10:00:01.000Z' })
  })

  test('an answer beyond all measure, or none at all, ends within five seconds', async () => {
    reply = { status: 200, body: 'x'.repeat(70 * 1024) }
    expect((await ask('sendgrid')).outcome).toBe('unreachable')
    reply = 'hang'
    const startedAt = performance.now()
    expect((await ask('sendgrid')).outcome).toBe('unreachable')
    expect(performance.now() - startedAt).toBeLessThan(6_000)
  })
})

describe('a mail server', () => {
  async function withMailServer<T>(toAuth: string, work: (port: number) => Promise<T>): Promise<T> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.write('220 mail.example ESMTP\r\n')
      socket.on('data', (data) => {
        const line = String(data)
        if (/^EHLO/i.test(line)) socket.write('250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n')
        else if (/^AUTH/i.test(line)) socket.write(`${toAuth}\r\n`)
        else if (/^QUIT/i.test(line)) socket.end('221 bye\r\n')
        else socket.write('250 ok\r\n')
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    try {
      return await work((server.address() as AddressInfo).port)
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
  const signIn = (port: number, trusted: readonly string[]) =>
    testConnection(
      { ...tester, trusted },
      {
        provider: 'smtp',
        accountId: null,
        settings: { host: '127.0.0.1', port, encryption: 'starttls' },
        credentials: { username: 'shop@example.com', password: 'correct horse battery' },
      },
    )

  test.each([
    ['235 2.7.0 accepted', 'ok'],
    ['535 5.7.8 bad password for shop@example.com', 'refused'],
    ['454 4.7.0 not now', 'unreachable'],
  ])('that says %s: %s', async (toAuth, outcome) => {
    const result = await withMailServer(toAuth, (port) => signIn(port, [`smtp://127.0.0.1:${port}`]))
    expect(result.outcome).toBe(outcome)
    expect(result.detail ?? '').not.toContain('shop@example.com')
  })

  test('inside the network that nobody listed is not called', async () => {
    let calls = 0
    const server = createServer(() => (calls += 1)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    expect((await signIn(port, [])).outcome).toBe('unreachable')
    expect(calls).toBe(0)
    server.close()
  })
})
