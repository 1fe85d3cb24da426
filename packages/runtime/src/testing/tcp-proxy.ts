import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What happens to connections, open ones and new ones alike, from the moment it is set. */
export type ProxyMode =
  | { kind: 'pass' }
  /** Each piece arrives late, in order. */
  | { kind: 'delay'; ms: number; jitterMs?: number }
  | { kind: 'throttle'; bytesPerSecond: number }
  /** A cable that is cut: connections stay, nothing comes through in either direction. What was held back goes on when it heals. */
  | { kind: 'black-hole' }
  /** As `black-hole`, in one direction. */
  | { kind: 'half-open'; drops: 'to-server' | 'to-client' }
  /** Each connection is reset once this many bytes have gone through it, counted from here. */
  | { kind: 'reset-after'; bytes: number }
  /** The request arrives, and the connection is cut when the answer comes: the caller cannot know. */
  | { kind: 'drop-answer' }
  /** Nobody answers: open connections are reset, new ones too. */
  | { kind: 'refuse' }

export interface TcpProxy {
  port: number
  mode(): ProxyMode
  set(mode: ProxyMode): void
  /** Resets every open connection, once. */
  cut(): void
  connections(): number
  close(): Promise<void>
}

/** Bytes that one direction of a connection holds back before its sender is told to wait: what a socket's own buffers would take. */
const holdBytes = 256 * 1024

type Direction = 'to-server' | 'to-client'

/** A TCP address on 127.0.0.1 in front of another, for tests that need a network to fail in a particular way. */
export async function startTcpProxy(target: { host?: string; port: number }, random = Math.random): Promise<TcpProxy> {
  let mode: ProxyMode = { kind: 'pass' }
  const pairs = new Set<{ reset(): void; changed(): void }>()

  function pair(client: Socket): void {
    const server = connect({ port: target.port, host: target.host ?? '127.0.0.1', noDelay: true })
    client.setNoDelay(true)
    let passed = 0
    const reset = (): void => {
      pairs.delete(entry)
      client.resetAndDestroy()
      // A connection that is not open yet cannot be reset, only given up.
      if (server.connecting) server.destroy()
      else server.resetAndDestroy()
    }
    const count = (direction: Direction, bytes: number): boolean => {
      passed += bytes
      if (mode.kind === 'reset-after' && passed >= mode.bytes) reset()
      else if (mode.kind === 'drop-answer' && direction === 'to-client') reset()
      else return true
      return false
    }
    const pipes = [
      openPipe({
        from: client,
        to: server,
        mode: () => mode,
        admit: (bytes) => count('to-server', bytes),
        direction: 'to-server',
        random,
      }),
      openPipe({
        from: server,
        to: client,
        mode: () => mode,
        admit: (bytes) => count('to-client', bytes),
        direction: 'to-client',
        random,
      }),
    ]
    const entry = {
      reset,
      changed: () => {
        passed = 0
        for (const pipe of pipes) pipe.pump()
      },
    }
    pairs.add(entry)
    for (const socket of [client, server]) {
      // A reset of one side is passed on to the other; nothing else is to be done about it.
      socket.on('error', reset)
      // What one side said before it left may still be held back for the other.
      socket.on('close', () => {
        if (client.closed && server.closed) pairs.delete(entry)
      })
    }
  }

  const listener = createServer((client) => {
    if (mode.kind === 'refuse') client.resetAndDestroy()
    else pair(client)
  })
  await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const entry of Array.from(pairs)) entry.reset()
  }
  return {
    port: (listener.address() as AddressInfo).port,
    mode: () => mode,
    set(next) {
      mode = next
      if (next.kind === 'refuse') cut()
      for (const entry of pairs) entry.changed()
    },
    cut,
    connections: () => pairs.size,
    async close() {
      cut()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}

interface Pipe {
  from: Socket
  to: Socket
  direction: Direction
  mode(): ProxyMode
  /** Counts bytes about to pass; false: they must not, the connection is gone. */
  admit(bytes: number): boolean
  random(): number
}

/** One direction of a connection: a queue that the mode lets flow, late, slowly or not at all. */
function openPipe({ from, to, direction, mode, admit, random }: Pipe): { pump(): void } {
  const held: { bytes: Buffer; at: number }[] = []
  let heldBytes = 0
  let ended = false
  let timer: NodeJS.Timeout | undefined

  function pump(): void {
    clearTimeout(timer)
    for (let next = held[0]; next; next = held[0]) {
      const waitMs = waitFor(next)
      if (waitMs === undefined) return
      if (waitMs > 0) {
        timer = setTimeout(pump, waitMs)
        return
      }
      const now = mode()
      // A tenth of a second's worth at a time, so that the rate holds over short stretches too.
      const size = now.kind === 'throttle' ? Math.max(1, Math.floor(now.bytesPerSecond / 10)) : next.bytes.length
      const piece = next.bytes.subarray(0, size)
      if (piece.length === next.bytes.length) held.shift()
      else held[0] = { bytes: next.bytes.subarray(size), at: performance.now() + 100 }
      heldBytes -= piece.length
      if (!admit(piece.length)) return
      if (!to.destroyed) to.write(piece)
    }
    if (heldBytes < holdBytes && from.isPaused()) from.resume()
    if (ended && !to.destroyed) to.end()
  }

  /** Milliseconds until this piece may go; undefined: not before the mode changes. */
  function waitFor(piece: { at: number }): number | undefined {
    const now = mode()
    if (now.kind === 'black-hole' || (now.kind === 'half-open' && now.drops === direction)) return undefined
    return now.kind === 'delay' || now.kind === 'throttle' ? piece.at - performance.now() : 0
  }

  from.on('data', (bytes: Buffer) => {
    const now = mode()
    const delayMs = now.kind === 'delay' ? now.ms + (now.jitterMs ?? 0) * random() : 0
    // Never before the piece in front of it.
    held.push({ bytes, at: Math.max(held.at(-1)?.at ?? 0, performance.now() + delayMs) })
    heldBytes += bytes.length
    if (heldBytes >= holdBytes) from.pause()
    pump()
  })
  from.on('end', () => {
    ended = true
    pump()
  })
  from.on('close', () => {
    clearTimeout(timer)
    if (!to.destroyed && !ended) to.destroy()
  })
  return { pump }
}
