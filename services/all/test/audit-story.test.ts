import { startModelSimulator, type ModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

// Real calls to every service: what the audit log knows of them afterwards, and what it must not know.
const words = 'CANARY-customer-words'
const secret = 'CANARY-phone-token'
let world: World
let phone: WhapiSimulator
let model: ModelSimulator
const ids = { source: '', receipt: '', customer: '', conversation: '', message: '', turn: '', agent: '', outgoing: '', dead: '' }

beforeAll(async () => {
  model = await startModelSimulator({})
  phone = await startWhapiSimulator({ token: secret, channelId: 'SHOP-PHONE' })
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { MODEL_SIMULATOR_URL: model.baseUrl, NOTIFIER_WHAPI_GATEWAYS: phone.url, AGENTS_QUIET_MS: '50' },
  })
})
afterAll(async () => {
  await world?.stop()
  await phone?.close()
  await model?.close()
})

const entries = (query: string) => world.call('GET', `/v1/audit?limit=100&${query}`).then(({ body }) => body.items)
/** The entry of a call: its action is the route. */
const changeOf = async (action: string) => {
  await world.settle()
  return (await entries(`kind=change&action=${encodeURIComponent(action)}`))[0]
}
const call = async (method: string, path: string, body?: unknown) => {
  const answer = await world.call(method, path, body === undefined ? {} : { body })
  expect(answer.status, `${method} ${path} ${JSON.stringify(answer.body)}`).toBeLessThan(300)
  return answer.body
}

async function plantDeadLetter(): Promise<string> {
  const id = randomUUIDv7()
  await world.sql(
    `insert into notifier.dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, payload, state)
     values ($1, $2, 'event', 'no-such-handler', 0, 'k', $3, 'message.added', $4, 'dead')`,
    [id, world.organizationId, randomUUIDv7(), JSON.stringify({ text: words })],
  )
  return id
}

describe('what a call changes is told with who, before and after', () => {
  test('of webhook sources and channels, never their secrets', async () => {
    const source = await call('POST', '/v1/webhook-sources', { provider: 'whapi', accountId: 'SHOP-PHONE', name: 'Shop' })
    ids.source = source.id
    phone.setWebhook({ url: world.running.url + source.path, headers: { [source.header.name]: source.header.value } })
    await call('PUT', '/v1/channels/SHOP-PHONE', { token: secret, baseUrl: phone.url })
    await call('PUT', '/v1/channels/SHOP-PHONE', { token: secret, baseUrl: phone.url, perSecond: 5 })
    expect(await changeOf('POST /v1/webhook-sources')).toMatchObject({
      actor: { kind: 'operator' },
      resourceType: 'webhook_source',
      resourceId: ids.source,
      before: null,
      after: { provider: 'whapi', accountId: 'SHOP-PHONE', status: 'active' },
      ip: '127.0.0.1',
    })
    expect(await changeOf('PUT /v1/channels/:accountId')).toMatchObject({
      resourceId: 'SHOP-PHONE',
      before: { perSecond: null },
      after: { perSecond: 5, token: '•••' },
    })
  })

  test('of conversations and answers, never the words', async () => {
    await phone.customerSends({ from: '33612345678', name: 'Zoé', text: `Bonjour ${words}` })
    await phone.waitForSent(() => true, 10_000)
    await world.settle()
    ids.conversation = (await call('GET', '/v1/conversations')).items[0].id
    ids.customer = (await call('GET', '/v1/customers')).items[0].id
    await call('POST', `/v1/conversations/${ids.conversation}/messages`, { text: words })
    await call('PATCH', `/v1/conversations/${ids.conversation}`, {
      status: 'closed',
      assignee: 'marc',
      note: words,
      markRead: true,
    })
    expect(await changeOf('PATCH /v1/conversations/:id')).toMatchObject({
      resourceId: ids.conversation,
      before: { status: 'with_person', assignee: null },
      after: { status: 'closed', assignee: 'marc', noted: true, markRead: true },
    })
    const told = await entries(`kind=change&action=${encodeURIComponent('POST /v1/conversations/:id/messages')}`)
    expect(told.map((entry: { resourceType: string }) => entry.resourceType).sort()).toEqual(['conversation', 'message'])
  })

  test('of agents, deliveries and dead letters', async () => {
    ids.agent = (await call('GET', '/v1/agents')).items[0].id
    await call('PATCH', `/v1/agents/${ids.agent}`, { tone: 'formal', instructions: 'x'.repeat(8_000) })
    expect(await changeOf('PATCH /v1/agents/:id')).toMatchObject({
      before: { tone: expect.any(String), instructions: '' },
      after: { tone: 'formal', instructions: expect.stringMatching(/^x{200}… \(8000 characters, SHA-256 /) },
    })
    ids.receipt = (await call('GET', '/v1/receipts')).items[0].id
    await call('POST', `/v1/receipts/${ids.receipt}/replay`)
    expect(await changeOf('POST /v1/receipts/:id/replay')).toMatchObject({ resourceId: ids.receipt, after: { newEvents: 0 } })
    const dead = await plantDeadLetter()
    await call('POST', `/v1/ops/notifier/dead-letters/${dead}/drop`)
    expect(await changeOf('POST /v1/ops/notifier/dead-letters/:id/drop')).toMatchObject({
      resourceType: 'dead_letter',
      resourceId: dead,
      before: { state: 'dead', handler: 'no-such-handler' },
      after: { state: 'dropped' },
    })
    await call('POST', '/v1/ops/notifier/replay', { since: new Date(Date.now() - 60_000).toISOString() })
    expect(await changeOf('POST /v1/ops/notifier/replay')).toMatchObject({ resourceType: 'outbox', resourceId: 'notifier' })
    await call('POST', `/v1/webhook-sources/${ids.source}/rotate`, { what: 'header' })
    expect(await changeOf('POST /v1/webhook-sources/:id/rotate')).toMatchObject({ after: { replaced: 'header' } })
    await call('DELETE', `/v1/webhook-sources/${ids.source}`)
    expect(await changeOf('DELETE /v1/webhook-sources/:id')).toMatchObject({
      before: { status: 'active' },
      after: { status: 'disabled' },
    })
  })

  test('and not at all when the call was refused', async () => {
    const before = (await entries('kind=change')).length
    expect((await world.call('PATCH', `/v1/agents/${randomUUIDv7()}`, { body: { tone: 'formal' } })).status).toBe(404)
    expect((await world.call('DELETE', `/v1/webhook-sources/${randomUUIDv7()}`)).status).toBe(404)
    expect((await world.call('PATCH', `/v1/conversations/${ids.conversation}`, { body: { status: 'lost' } })).status).toBe(400)
    await world.settle()
    expect((await entries('kind=change')).length).toBe(before)
  })
})

describe('who reads a customer’s data', () => {
  test('is noted for every route that shows some', async () => {
    ids.message = (await call('GET', `/v1/conversations/${ids.conversation}/messages`)).items[0].id
    ids.turn = (await call('GET', '/v1/turns')).items[0].id
    ids.outgoing = (await call('GET', '/v1/outgoing-messages')).items[0].id
    ids.dead = await plantDeadLetter()
    const paths: [path: string, type: string, id: string | null][] = [
      ['/v1/customers', 'customer', null],
      [`/v1/customers/${ids.customer}`, 'customer', ids.customer],
      [`/v1/customers/${ids.customer}/consents`, 'consent', ids.customer],
      ['/v1/consents', 'consent', null],
      ['/v1/conversations', 'conversation', null],
      [`/v1/conversations/${ids.conversation}`, 'conversation', ids.conversation],
      [`/v1/conversations/${ids.conversation}/messages`, 'message', ids.conversation],
      [`/v1/messages/${ids.message}`, 'message', ids.message],
      [`/v1/receipts/${ids.receipt}`, 'receipt', ids.receipt],
      ['/v1/turns', 'turn', null],
      [`/v1/turns/${ids.turn}`, 'turn', ids.turn],
      ['/v1/outgoing-messages', 'outgoing_message', null],
      [`/v1/outgoing-messages/${ids.outgoing}`, 'outgoing_message', ids.outgoing],
      [`/v1/ops/notifier/dead-letters/${ids.dead}`, 'dead_letter', ids.dead],
    ]
    const from = new Date().toISOString()
    for (const [path] of paths) await call('GET', path)
    await world.settle()
    type Read = { action: string; resourceType: string; resourceId: string | null }
    const reads: Read[] = await entries(`kind=read&from=${from}`)
    const covered = new Set<string>()
    for (const [path, resourceType, resourceId] of paths) {
      const ofThis = reads.filter((read) => read.resourceType === resourceType && read.resourceId === resourceId)
      expect(ofThis, path).toMatchObject([{ actor: { kind: 'operator' }, ip: '127.0.0.1' }])
      covered.add(ofThis[0]?.action ?? '')
    }
    const noted = world.running.routes.filter((route) => route.method === 'GET' && route.personalData !== null)
    const names = noted.map((route) => `GET ${route.path}`)
    // Those of the log itself and of people's own data are tested with accounts; a dead letter's is the same for each service.
    const elsewhere = /^GET \/v1\/(audit|ops\/(?!notifier)|members|me|mails|dev)/
    expect(names.filter((name) => !covered.has(name) && !elsewhere.test(name))).toEqual([])
  })

  test('is noted once for who listens to the live stream', async () => {
    const from = new Date().toISOString()
    const abort = new AbortController()
    const response = await fetch(`${world.running.url}/v1/stream`, {
      headers: { authorization: `Bearer ${world.key}` },
      signal: abort.signal,
    })
    expect(response.status).toBe(200)
    abort.abort()
    await world.settle()
    expect(await entries(`kind=read&action=${encodeURIComponent('GET /v1/stream')}&from=${from}`)).toHaveLength(1)
  })
})

test('the log holds no word of a customer and no secret, and its chain holds', async () => {
  await world.settle()
  const kept = [
    ...(await world.sql('select * from accounts.audit_entries')),
    ...(await world.sql('select * from accounts.data_access')),
  ]
  expect(kept.length).toBeGreaterThan(20)
  expect(JSON.stringify(kept)).not.toContain('CANARY')
  expect((await world.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true, complete: true, unsealed: 0 })
})
