import { connectionChanged, type DataOf, messageSendRequested } from '@parley/contracts'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { credentialsPlace, makeDataKey, openSealingKeys, sealCredentials, Secret, wrapDataKey } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { notifier } from '../src/service.ts'

const token = 'whapi-channel-token'
let gateway: WhapiSimulator
let world: World
let nextChat = 33_600_000_000

beforeAll(async () => {
  gateway = await startWhapiSimulator({ token, channelId: 'PHONE-1' })
  world = await startWorld({
    services: [notifier],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { NOTIFIER_WHAPI_GATEWAYS: gateway.url, NOTIFIER_WHATSAPP_PER_SECOND: '1000' },
  })
})
afterAll(async () => {
  await world?.stop()
  await gateway?.close()
})

type Changed = DataOf<typeof connectionChanged>

/** A WhatsApp connection as accounts tells of it. */
function openConnection(accountId: string) {
  const { organizationId } = world
  const connectionId = randomUUIDv7()
  const place = credentialsPlace(organizationId, connectionId)
  const keysNow = () => {
    const { PARLEY_SECRET_KEY: current, PARLEY_SECRET_KEY_PREVIOUS: previous } = world.environment
    return openSealingKeys(new Secret(current as string), previous === undefined ? undefined : new Secret(previous))
  }
  const { dataKey } = makeDataKey(keysNow(), organizationId, 1)
  let revision = 0
  let sealed: { of: string; text: string } | undefined
  return {
    connectionId,
    /** The same token is told as it was sealed, unless it was `given` anew. */
    async told(newToken: string | null, { given = false, ...more }: Partial<Changed> & { given?: boolean } = {}) {
      revision += 1
      if (newToken !== null && (given || sealed?.of !== newToken)) {
        sealed = { of: newToken, text: sealCredentials(dataKey, place, { token: newToken }) }
      }
      const credentials =
        newToken === null || !sealed ? null : { keyVersion: 1, wrappedKey: wrapDataKey(keysNow(), dataKey), sealed: sealed.text }
      await world.state('notifier', connectionChanged, {
        connectionId,
        provider: 'whapi',
        accountId,
        displayName: 'the shop',
        status: newToken === null ? 'removed' : 'active',
        settings: {},
        credentials,
        webhook: null,
        revision,
        ...more,
      })
      await world.settle()
    },
  }
}

async function send(accountId: string) {
  const chatId = `${nextChat++}@s.whatsapp.net`
  const messageId = randomUUID()
  await world.state('notifier', messageSendRequested, {
    conversationId: randomUUID(),
    messageId,
    customerId: randomUUID(),
    channel: 'whatsapp',
    accountId,
    chatId,
    text: 'Bonjour',
    attachment: null,
    quickReplies: [],
    replyToProviderMessageId: null,
    sender: 'agent',
    basedOnVersion: 1,
    requestedAt: new Date().toISOString(),
  })
  return {
    chatId,
    state: async () => (await world.call('GET', `/v1/outgoing-messages/${messageId}`)).body,
    becomes: async (state: string) =>
      expect
        .poll(async () => (await world.call('GET', `/v1/outgoing-messages/${messageId}`)).body.state, { timeout: 15_000 })
        .toBe(state),
  }
}

const channelOf = async (accountId: string) =>
  (await world.sql('select * from notifier.channels where account_id = $1', [accountId]))[0]
const reportsOf = async (connectionId: string) =>
  (await world.events('notifier', 'connection.reported')).filter(({ key }) => key === connectionId).map(({ data }) => data)

test('a connection brings its channel about: a refused token waits, is reported, and a new one sends what waited', async () => {
  const connection = openConnection('PHONE-1')
  await connection.told('a-token-that-ended')
  expect(await channelOf('PHONE-1')).toMatchObject({ status: 'active', connection_id: connection.connectionId })
  const message = await send('PHONE-1')
  await expect.poll(async () => (await channelOf('PHONE-1'))?.['status']).toBe('unauthorised')
  await world.settle()
  expect(await reportsOf(connection.connectionId)).toMatchObject([{ outcome: 'refused' }])
  expect(gateway.sentTo(message.chatId)).toHaveLength(0)

  // What accounts finds out of it is told again, with the same token: the channel goes on waiting.
  await connection.told('a-token-that-ended', { status: 'error' })
  expect(await channelOf('PHONE-1')).toMatchObject({ status: 'unauthorised' })
  await connection.told(token)
  await message.becomes('sent')
  expect(gateway.sentTo(message.chatId)).toHaveLength(1)
  expect(await reportsOf(connection.connectionId)).toMatchObject([{ outcome: 'refused' }, { outcome: 'ok' }])

  // The next message says nothing new of the connection.
  await (await send('PHONE-1')).becomes('sent')
  expect(await reportsOf(connection.connectionId)).toHaveLength(2)
})

test('a token that the gateway refused for a moment is tried once more when it is given anew', async () => {
  const connection = openConnection('PHONE-9')
  await connection.told(token)
  gateway.faults.next({ kind: 'status', status: 401 })
  const message = await send('PHONE-9')
  await expect.poll(async () => (await channelOf('PHONE-9'))?.['status']).toBe('unauthorised')
  await connection.told(token)
  expect(await channelOf('PHONE-9')).toMatchObject({ status: 'unauthorised' })
  await connection.told(token, { given: true })
  await message.becomes('sent')
  expect(gateway.sentTo(message.chatId)).toHaveLength(1)
})

test('switched off nothing goes out, and removed its token is forgotten and what waits ends', async () => {
  const connection = openConnection('PHONE-2')
  await connection.told('a-token-that-ended')
  const waiting = await send('PHONE-2')
  await expect.poll(async () => (await channelOf('PHONE-2'))?.['status']).toBe('unauthorised')
  await connection.told('a-token-that-ended', { status: 'inactive' })
  await waiting.becomes('failed')
  await connection.told(token)
  await (await send('PHONE-2')).becomes('sent')
  await connection.told(null)
  expect(await channelOf('PHONE-2')).toMatchObject({ status: 'disabled', sealed_token: null })
  const late = await send('PHONE-2')
  await late.becomes('failed')
  expect(gateway.sentTo(late.chatId)).toHaveLength(0)
})

test('an older word changes nothing, not even after the end', async () => {
  const connection = openConnection('PHONE-3')
  await connection.told(token, { revision: 7 })
  const before = await channelOf('PHONE-3')
  await connection.told('an-older-token', { revision: 6 })
  await connection.told(null, { revision: 5 })
  expect(await channelOf('PHONE-3')).toEqual(before)
  await connection.told(null, { revision: 8 })
  await connection.told(token, { revision: 7 })
  expect(await channelOf('PHONE-3')).toMatchObject({ status: 'disabled', sealed_token: null })
})

test('the end of a connection does not end the channel that another one has taken over', async () => {
  const [first, second] = [openConnection('PHONE-4'), openConnection('PHONE-4')]
  await first.told('first-token')
  await second.told(token)
  await first.told(null)
  expect(await channelOf('PHONE-4')).toMatchObject({ status: 'active', connection_id: second.connectionId })
  await (await send('PHONE-4')).becomes('sent')
})

test('a token that comes after the end is the one that is used', async () => {
  const first = openConnection('PHONE-5')
  await first.told(token)
  await (await send('PHONE-5')).becomes('sent')
  await first.told(null)
  const second = openConnection('PHONE-5')
  await second.told('a-token-that-ended')
  const message = await send('PHONE-5')
  await expect.poll(async () => (await channelOf('PHONE-5'))?.['status']).toBe('unauthorised')
  await second.told(token)
  await message.becomes('sent')
})

test('a gateway that the operator does not allow is reported and not called', async () => {
  const connection = openConnection('PHONE-6')
  await connection.told(token, { settings: { baseUrl: 'https://gateway.example' } })
  expect(await channelOf('PHONE-6')).toBeUndefined()
  expect(await reportsOf(connection.connectionId)).toMatchObject([{ outcome: 'failed' }])
})

test('told again under a new installation key, the token is sealed with it and nobody has to notice', async () => {
  const connection = openConnection('PHONE-7')
  await connection.told(token)
  const before = await channelOf('PHONE-7')
  world.environment['PARLEY_SECRET_KEY_PREVIOUS'] = world.environment['PARLEY_SECRET_KEY'] as string
  world.environment['PARLEY_SECRET_KEY'] = randomBytes(32).toString('base64')
  await world.restart()
  await connection.told(token)
  const after = await channelOf('PHONE-7')
  expect(after).toMatchObject({ token_version: before?.['token_version'], status: 'active' })
  expect(String(after?.['sealed_token']).split('.')[1]).not.toBe(String(before?.['sealed_token']).split('.')[1])
  delete world.environment['PARLEY_SECRET_KEY_PREVIOUS']
  await world.restart()
  await (await send('PHONE-7')).becomes('sent')
})

test('a token that somebody sets by hand is theirs until the connection changes', async () => {
  const connection = openConnection('PHONE-8')
  await connection.told('a-token-that-ended')
  const answer = await world.call('PUT', '/v1/channels/PHONE-8', { body: { token } })
  expect(answer.body.connectionId).toBeNull()
  await (await send('PHONE-8')).becomes('sent')
  expect(await reportsOf(connection.connectionId)).toEqual([])
})
