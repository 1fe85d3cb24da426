import { connect, type Socket } from 'node:net'

export interface HttpConnection {
  /** Sends one request (a whole HTTP/1.1 message) and calls back with the status of its answer, 0 when the connection broke. */
  send(request: string, done: (status: number) => void): void
  close(): void
}

const endOfHead = '\r\n\r\n'

/**
 * One keep-alive connection, one request at a time. It reads no more of an answer than its status and where it ends: on two shared
 * cores every cycle of the load generator is taken from what it measures. Answers need a content-length.
 */
export function openConnection(host: string, port: number): HttpConnection {
  let socket: Socket | undefined
  let waiting: ((status: number) => void) | undefined
  let text = ''

  function finish(status: number, close: boolean): void {
    const done = waiting
    waiting = undefined
    text = ''
    if (close) {
      socket?.destroy()
      socket = undefined
    }
    done?.(status)
  }

  function receive(chunk: string): void {
    text += chunk
    const headEnd = text.indexOf(endOfHead)
    if (headEnd < 0) return
    const head = text.slice(0, headEnd).toLowerCase()
    const length = /\r\ncontent-length: (\d+)/.exec(head)
    const status = Number(head.slice(9, 12))
    if (!length && status !== 204) return finish(0, true)
    if (text.length < headEnd + endOfHead.length + Number(length?.[1] ?? 0)) return
    finish(status, head.includes('\r\nconnection: close'))
  }

  function dial(): Socket {
    const fresh = connect({ host, port, noDelay: true })
    fresh.setEncoding('latin1')
    fresh.on('data', receive)
    // Both end the request under way, if there is one; the next request dials again.
    fresh.on('error', () => fresh === socket && finish(0, true))
    fresh.on('close', () => fresh === socket && finish(0, true))
    return fresh
  }

  return {
    send(request, done) {
      if (waiting) throw new Error('A connection carries one request at a time.')
      waiting = done
      socket ??= dial()
      socket.write(request, 'latin1')
    },
    close() {
      waiting = undefined
      socket?.destroy()
      socket = undefined
    },
  }
}
