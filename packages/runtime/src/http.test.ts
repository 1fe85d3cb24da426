import { once } from 'node:events'
import { connect } from 'node:net'
import { TooLarge } from '@parley/contracts'
import pino from 'pino'
import { expect, test } from 'vitest'
import { openDoor, publicError } from './http.ts'

test.each([
  ['', 1],
  ['127.0.0.0/8', 0],
])('a proxy that TRUST_PROXY (%j) does not name is told of in the log, once for many calls', async (trusted, times) => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) })
  const door = await openDoor({ log, trustProxy: trusted === '' ? [] : [trusted], requestsPerMinute: 1_000 })
  door.get('/', async ({ ip }) => ({ ip }))
  const url = await door.listen({ port: 0, host: '127.0.0.1' })
  for (let call = 0; call < 3; call++) await fetch(url, { headers: { 'x-forwarded-for': '203.0.113.7' } })
  await fetch(url)
  await door.close()
  expect(lines.filter((line) => line.includes('TRUST_PROXY'))).toHaveLength(times)
})

test('a caller who hangs up in the middle of a request is no error of ours', async () => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) })
  const door = await openDoor({ log, trustProxy: [], requestsPerMinute: 1_000 })
  const ended = Promise.withResolvers<void>()
  door.post('/', async () => ({}))
  door.addHook('onError', async () => ended.resolve())
  const url = new URL(await door.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(url.port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":')
  await once(door.server, 'request')
  socket.resetAndDestroy()
  await ended.promise
  await door.close()
  expect(lines).toEqual([])
})

test('a fault of ours that somebody repeats is one line with its stack, not one for each request', async () => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) })
  const door = await openDoor({ log, trustProxy: [], requestsPerMinute: 1_000 })
  door.get('/fault/:kind', async ({ params }) => {
    throw (params as { kind: string }).kind === 'type' ? new TypeError('a') : new RangeError('b')
  })
  for (const kind of ['type', 'type', 'range', 'type']) expect((await door.inject(`/fault/${kind}`)).statusCode).toBe(500)
  await door.close()
  expect(lines.map((line) => JSON.parse(line).err.type)).toEqual(['TypeError', 'RangeError'])
})

test('who sent more than an event holds is told so: it is no fault of ours', () => {
  const said = 'agent.changed would take more than 65536 bytes as it is stored.'
  expect(publicError(new TooLarge(said))).toEqual({ code: 'invalid', message: said })
})
