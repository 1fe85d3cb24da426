import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { ingest } from '../src/service.ts'
import { elevenLabsSignature, openDoor, post, whapiMessage } from './door.ts'

const mebibyte = 1024 ** 2
let world: World
beforeAll(async () => {
  // A container of 512 MiB has room for 16 MiB of bodies.
  vi.spyOn(process, 'constrainedMemory').mockReturnValue(512 * mebibyte)
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  vi.restoreAllMocks()
  await world?.stop()
})

const calls = () =>
  openDoor(world, { provider: 'elevenlabs', accountId: null, name: 'calls', signingSecret: 'wsec_shared' }, world.otherKey)

/** Begins a post and leaves it open. */
async function begin(path: string, headers: Record<string, string>, first?: Buffer): Promise<ClientRequest> {
  const call = request(world.running.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
  })
  call.on('error', () => undefined)
  if (first === undefined) call.flushHeaders()
  else await new Promise((sent) => call.write(first, sent))
  return call
}

async function answerOf(call: ClientRequest): Promise<{ status: number | undefined; body: string }> {
  const [response] = await once(call, 'response')
  return { status: response.statusCode, body: await text(response) }
}

async function expectOthersAreTaken(name: string) {
  const door = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name })
  const headers = { [door.header?.name as string]: door.header?.value as string }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => post(world, door.path, JSON.stringify(whapiMessage(`${name}-${i}`, 'x')), headers)),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
}

test('bodies that are announced and never sent shut nobody out', async () => {
  const { path } = await calls()
  const signed = { 'elevenlabs-signature': elevenLabsSignature('wsec_shared', '') }
  const idle = await Promise.all([
    ...Array.from({ length: 8 }, () => begin(path, { ...signed, 'content-length': String(64 * mebibyte) })),
    ...Array.from({ length: 8 }, () => begin(path, { ...signed, 'transfer-encoding': 'chunked' }, Buffer.from('{'))),
  ])
  await expectOthersAreTaken('idle')
  for (const call of idle) call.destroy()
})

test('half-sent bodies of one organization fill its share alone', async () => {
  const { path } = await calls()
  const signed = { 'elevenlabs-signature': elevenLabsSignature('wsec_shared', ''), 'transfer-encoding': 'chunked' }
  const half = await Promise.all(Array.from({ length: 20 }, () => begin(path, signed, Buffer.alloc(mebibyte, ' '))))
  await expectOthersAreTaken('half')
  for (const call of half) call.destroy()
})

test('tiny bodies without a length are all taken at once', async () => {
  const { path } = await calls()
  const answers = await Promise.all(
    Array.from({ length: 16 }, async (_, i) => {
      const body = JSON.stringify({ type: 'post_call_transcription', event_timestamp: 1, data: { conversation_id: `c${i}` } })
      const signed = { 'elevenlabs-signature': elevenLabsSignature('wsec_shared', body), 'transfer-encoding': 'chunked' }
      const call = await begin(path, signed, Buffer.from(body))
      const answer = answerOf(call)
      call.end()
      return (await answer).status
    }),
  )
  expect(answers).toEqual(Array.from({ length: 16 }, () => 200))
})

test('what headers alone show is refused before the body is sent', async () => {
  const { path } = await calls()
  const signed = { 'elevenlabs-signature': elevenLabsSignature('wsec_shared', '') }
  const old = { 'elevenlabs-signature': elevenLabsSignature('wsec_shared', '', 1_000_000_000) }
  const refused = async (headers: Record<string, string>) => (await answerOf(await begin(path, headers))).status
  expect(await refused({ ...signed, 'content-length': String(64 * mebibyte + 1) })).toBe(413)
  expect(await refused({ ...old, 'content-length': '100' })).toBe(401)
  expect(await refused({ 'transfer-encoding': 'chunked' })).toBe(401)
})
