import type { FastifyInstance } from 'fastify'
import type { Socket } from 'node:net'

/**
 * Prepares a door to be closed in good order, and answers how: no new calls, those under way get their answers, then every
 * connection ends; what still hangs after `graceMs` is cut. Fastify's own `close` looks once for connections without a call: one
 * that is busy at that moment would be kept for its next call, which cannot come, until its keep-alive time (65 s) is over.
 */
export function closableDoor(door: FastifyInstance): (graceMs: number) => Promise<void> {
  let closing = false
  const sockets = new Set<Socket>()
  door.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  door.addHook('onSend', (_request, reply, payload, done) => {
    if (closing) void reply.header('connection', 'close')
    done(null, payload)
  })

  return async (graceMs) => {
    closing = true
    const closed = door.close()
    const endIdle = () => {
      door.server.closeIdleConnections()
      // Opened ahead of time, as browsers and load balancers do, without a byte so far: Node does not count those as idle.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }
    endIdle()
    const idle = setInterval(endIdle, 50)
    const cut = setTimeout(() => door.server.closeAllConnections(), graceMs)
    try {
      await closed
    } finally {
      clearInterval(idle)
      clearTimeout(cut)
    }
  }
}
