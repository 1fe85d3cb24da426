import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { type Door, elevenLabsSignature, openDoor, post } from './door.ts'

const key = 'wsec_shared'
const audio = Buffer.alloc(3 * 1024 * 1024, 7)
const body = JSON.stringify({
  type: 'post_call_audio',
  event_timestamp: 1_767_225_600,
  data: { agent_id: 'a-1', conversation_id: 'c-1', full_audio: audio.toString('base64') },
})
const folder = mkdtempSync(join(tmpdir(), 'parley-objects-'))
let world: World
let door: Door
beforeAll(async () => {
  world = await startWorld({
    services: [ingest],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { OBJECT_STORE_URL: pathToFileURL(folder).href },
  })
  door = await openDoor(world, { provider: 'elevenlabs', accountId: null, name: 'calls', signingSecret: key })
})
afterAll(async () => {
  await world?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('a recording goes into object storage, and its receipt keeps the rest', async () => {
  const answer = await post(world, door.path, body, { 'elevenlabs-signature': elevenLabsSignature(key, body) })
  expect(answer.status).toBe(200)
  const [event] = await world.events('ingest', 'call.recorded')
  const objectKey = `${world.organizationId}/recordings/${answer.body.receiptId}.mp3`
  expect(event?.data).toMatchObject({ objectKey, bucket: null, sizeBytes: audio.length, providerConversationId: 'c-1' })
  expect(readFileSync(join(folder, objectKey)).equals(audio)).toBe(true)
  const { body: receipt } = await world.call('GET', `/v1/receipts/${answer.body.receiptId}`)
  expect(receipt).toMatchObject({ state: 'done', size: body.length })
  expect(JSON.parse(receipt.body)).toEqual({
    type: 'post_call_audio',
    event_timestamp: 1_767_225_600,
    data: { agent_id: 'a-1', conversation_id: 'c-1' },
  })
})

test('a recording that came before there was a storage is taken out of its receipt by a replay, once', async () => {
  const other = body.replace('c-1', 'c-2')
  const { body: stored } = await post(world, door.path, other, { 'elevenlabs-signature': elevenLabsSignature(key, other) })
  await world.sql(`update ingest.receipts set body = $1, state = 'ignored', event_count = 0 where id = $2`, [
    Buffer.from(other),
    stored.receiptId,
  ])
  await world.sql(`update ingest.receipt_items set event_type = 'webhook.unrecognised' where receipt_id = $1`, [stored.receiptId])
  expect((await world.call('POST', `/v1/receipts/${stored.receiptId}/replay`)).body).toMatchObject({
    newEvents: 1,
    state: 'done',
  })
  expect((await world.call('POST', `/v1/receipts/${stored.receiptId}/replay`)).body).toMatchObject({ newEvents: 0 })
})

test('a recording under a wrong signature is refused before anything is stored', async () => {
  const answer = await post(world, door.path, body, { 'elevenlabs-signature': elevenLabsSignature('wsec_other', body) })
  expect(answer.status).toBe(401)
})
