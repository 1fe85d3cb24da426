import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { parseJson } from './exchange.ts'
import { createFaults, type Fault, type Faults } from './faults.ts'

export interface SimulatedRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** Parsed JSON; undefined when there was none or it did not parse. */
  body: unknown
}

export interface SimulatedAnswer {
  status: number
  body: unknown
  headers?: Record<string, string>
}

export interface SimulatorServer {
  port: number
  /** `http://127.0.0.1:<port>` */
  url: string
  faults: Faults
  /** Requests so far, also those that a fault answered. */
  requests(): number
  /** Ends at once: open connections are cut, delays are given up. */
  close(): Promise<void>
}

const maxBodyBytes = 32 * 1024 * 1024

/**
 * The HTTP side that all simulators share: a real server on 127.0.0.1 that answers JSON and misbehaves on order. `handle` does
 * the work and states the answer; the faults decide whether the work is done and what the caller sees of it. Plain node:http,
 * because a simulator shares two cores with what it measures.
 */
export async function startSimulatorServer(options: {
  port?: number | undefined
  handle: (request: SimulatedRequest) => SimulatedAnswer | Promise<SimulatedAnswer>
  faultsApplyTo: (call: { method: string; path: string }) => boolean
}): Promise<SimulatorServer> {
  const faults = createFaults(options.faultsApplyTo)
  const closing = new AbortController()
  let requests = 0

  const server = createServer((message, response) => {
    serve(message, response).catch(() => response.destroy())
  })

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    requests += 1
    const body = await readBody(message)
    const url = new URL(message.url ?? '/', 'http://simulator')
    const request: SimulatedRequest = {
      method: message.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: message.headers,
      body: body === '' ? undefined : parseJson(body),
    }
    const fault = faults.take(request)
    if (!fault) return send(response, await options.handle(request))
    await misbehave(fault, request, response)
  }

  async function misbehave(fault: Fault, request: SimulatedRequest, response: ServerResponse): Promise<void> {
    const act = () => options.handle(request)
    if (fault.kind === 'status') {
      if (fault.acts) await act()
      const body = fault.body ?? { error: { code: fault.status, message: `simulated ${fault.status}` } }
      return send(response, { status: fault.status, body, headers: fault.headers ?? {} })
    }
    if (fault.kind === 'drop') {
      if (fault.acts) await act()
      response.socket?.destroy()
      return
    }
    if (fault.kind === 'delay') {
      if (fault.beforeMs) await wait(fault.beforeMs, undefined, { signal: closing.signal })
      const answer = await act()
      if (fault.afterMs) await wait(fault.afterMs, undefined, { signal: closing.signal })
      return send(response, answer)
    }
    const answer = await act()
    const text = serialise(answer.body)
    if (fault.kind === 'half_json') return sendText(response, answer, text.slice(0, Math.floor(text.length / 2)))
    if (fault.kind === 'oversize') return sendText(response, answer, JSON.stringify({ padding: 'x'.repeat(fault.bytes) }))
    response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.flushHeaders()
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    faults,
    requests: () => requests,
    async close() {
      closing.abort()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function send(response: ServerResponse, answer: SimulatedAnswer): void {
  sendText(response, answer, serialise(answer.body))
}

function serialise(body: unknown): string {
  return body instanceof Buffer ? body.toString('latin1') : (JSON.stringify(body) ?? '')
}

function sendText(response: ServerResponse, answer: SimulatedAnswer, text: string): void {
  const bytes = Buffer.from(text, answer.body instanceof Buffer ? 'latin1' : 'utf8')
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': bytes.length, ...answer.headers })
  response.end(bytes)
}

async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    bytes += (chunk as Buffer).length
    if (bytes > maxBodyBytes) throw new RangeError('The request body is larger than the simulator takes.')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks, bytes).toString('utf8')
}
