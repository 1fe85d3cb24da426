import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { startTcpProxy, type TcpProxy } from '../src/testing/tcp-proxy.ts'

let server: Server
let proxy: TcpProxy
let arrived: string
const sockets = new Set<Socket>()
const opened: Socket[] = []

beforeEach(async () => {
  arrived = ''
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      arrived += bytes.toString()
      socket.write(bytes.toString().toUpperCase())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy = await startTcpProxy({ port: (server.address() as AddressInfo).port }, () => 0.5)
})
afterEach(async () => {
  for (const socket of [...opened.splice(0), ...sockets]) socket.destroy()
  sockets.clear()
  await proxy.close()
  await new Promise<void>((resolve) => server.close(() => resolve()))
})

/** A client with what it heard and how it ended. */
async function dial() {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' })
  opened.push(socket)
  const seen = { text: '', error: '', closed: false }
  socket.on('data', (bytes) => {
    seen.text += bytes.toString()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code ?? ''
  })
  socket.on('close', () => {
    seen.closed = true
  })
  await new Promise<void>((resolve) => socket.once('connect', resolve).once('error', () => resolve()))
  return { socket, seen }
}

describe('the TCP proxy', () => {
  test('passes both ways, and the end of a connection too', async () => {
    const { socket, seen } = await dial()
    socket.write('hello')
    await expect.poll(() => seen.text).toBe('HELLO')
    socket.end()
    await expect.poll(() => proxy.connections()).toBe(0)
  })

  test('delays each piece, in order', async () => {
    proxy.set({ kind: 'delay', ms: 40, jitterMs: 20 })
    const { socket, seen } = await dial()
    const started = performance.now()
    for (const word of ['a', 'b', 'c']) socket.write(word)
    await expect.poll(() => seen.text).toBe('ABC')
    expect(performance.now() - started).toBeGreaterThanOrEqual(95)
  })

  test('throttles to a rate', async () => {
    proxy.set({ kind: 'throttle', bytesPerSecond: 1_000 })
    const { socket, seen } = await dial()
    const started = performance.now()
    socket.write('x'.repeat(400))
    await expect.poll(() => seen.text.length, { timeout: 5_000 }).toBe(400)
    expect(performance.now() - started).toBeGreaterThanOrEqual(290)
  })

  test('holds everything back as a cut cable does, and a healed connection goes on with nothing missing', async () => {
    const { socket, seen } = await dial()
    socket.write('before ')
    await expect.poll(() => seen.text).toBe('BEFORE ')
    proxy.set({ kind: 'black-hole' })
    socket.write('during ')
    const other = await dial()
    other.socket.write('new')
    // Something that does pass on the same event loop, so that the wait is not for the clock.
    await expect.poll(() => proxy.connections()).toBe(2)
    expect(arrived).toBe('before ')
    proxy.set({ kind: 'pass' })
    await expect.poll(() => seen.text).toBe('BEFORE DURING ')
    await expect.poll(() => other.seen.text).toBe('NEW')
  })

  test('brings the last words of a side that has left meanwhile', async () => {
    const { socket, seen } = await dial()
    proxy.set({ kind: 'half-open', drops: 'to-client' })
    socket.write('bye')
    await expect.poll(() => arrived).toBe('bye')
    for (const own of sockets) own.end()
    proxy.set({ kind: 'pass' })
    await expect.poll(() => seen.text).toBe('BYE')
    await expect.poll(() => seen.closed).toBe(true)
    await expect.poll(() => proxy.connections()).toBe(0)
  })

  test.each([
    ['to-server', ''],
    ['to-client', 'ask'],
  ] as const)('drops one direction only: %s', async (drops, reaches) => {
    proxy.set({ kind: 'half-open', drops })
    const { socket, seen } = await dial()
    socket.write('ask')
    if (reaches !== '') await expect.poll(() => arrived).toBe(reaches)
    expect(arrived).toBe(reaches)
    expect(seen.text).toBe('')
    proxy.set({ kind: 'pass' })
    await expect.poll(() => seen.text).toBe('ASK')
  })

  test('resets a connection after so many bytes', async () => {
    proxy.set({ kind: 'reset-after', bytes: 15 })
    const { socket, seen } = await dial()
    socket.write('12345')
    await expect.poll(() => seen.text).toBe('12345')
    socket.write('67890')
    await expect.poll(() => seen.closed).toBe(true)
    expect(seen.error).toBe('ECONNRESET')
  })

  test('drops the answer after the request arrived', async () => {
    proxy.set({ kind: 'drop-answer' })
    const { socket, seen } = await dial()
    socket.write('pay')
    await expect.poll(() => seen.closed).toBe(true)
    expect(arrived).toBe('pay')
    expect(seen.text).toBe('')
  })

  test('refuses, and cuts what is open', async () => {
    const first = await dial()
    proxy.set({ kind: 'refuse' })
    await expect.poll(() => first.seen.closed).toBe(true)
    const second = await dial()
    await expect.poll(() => second.seen.closed).toBe(true)
    proxy.set({ kind: 'pass' })
    const third = await dial()
    third.socket.write('again')
    await expect.poll(() => third.seen.text).toBe('AGAIN')
  })
})
