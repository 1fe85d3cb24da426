import { errorBody, kit } from '@parley/runtime'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type Door, openDoor } from './door.ts'
import { freePort } from './ports.ts'
import type { AnyService } from './services.ts'
import type { Replica, Supervisor } from './supervisor.ts'

const { route } = kit<unknown, unknown>()
const inbox = {
  name: 'inbox',
  handlers: [],
  pluginPaths: [],
  routes: [
    route({ method: 'GET', path: '/v1/things', summary: 's', scope: 'agents:read', reply: z.unknown(), run: async () => null }),
  ],
} as unknown as AnyService

let door: Door | undefined
const servers: Server[] = []
afterEach(async () => {
  await door?.close()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const deadUrl = async () => `http://127.0.0.1:${await freePort(0)}`

async function doorTo(...urls: string[]): Promise<{ url: string; replicas: Replica[] }> {
  const replicas = urls.map(
    (url, i): Replica => ({ service: 'inbox', name: `inbox-${i}`, pid: 0, url, adminUrl: '', state: 'up', calls: 0 }),
  )
  const supervisor = { live: () => replicas.filter((replica) => replica.state === 'up') } as unknown as Supervisor
  door = await openDoor({ services: [inbox], supervisor, host: '127.0.0.1', port: 0 })
  return { url: door.url, replicas }
}

test('replicas take turns', async () => {
  const { url } = await doorTo(await serve((_, response) => response.end('a')), await serve((_, response) => response.end('b')))
  const answers = []
  for (let i = 0; i < 4; i++) answers.push(await (await fetch(`${url}/v1/things`)).text())
  expect(answers.toSorted()).toEqual(['a', 'a', 'b', 'b'])
})

test('a call that a dead replica never saw goes whole to the next one, whatever its method', async () => {
  const bodies: string[] = []
  const alive = await serve((incoming, response) => {
    let body = ''
    incoming.on('data', (chunk) => (body += chunk))
    incoming.on('end', () => {
      bodies.push(body)
      response.end('taken')
    })
  })
  const { url, replicas } = await doorTo(await deadUrl(), alive)
  for (let i = 0; i < 2; i++) {
    const response = await fetch(`${url}/v1/things`, { method: 'POST', body: 'x'.repeat(100_000) })
    expect(await response.text()).toBe('taken')
  }
  expect(bodies.map((body) => body.length)).toEqual([100_000, 100_000])
  expect(replicas.map((replica) => replica.calls)).toEqual([0, 0])
})

test('a write that broke in the middle is not repeated, and the caller hears to try again', async () => {
  let seen = 0
  const breaking: RequestListener = (incoming) => {
    incoming.once('data', () => {
      seen++
      incoming.socket.destroy()
    })
  }
  const { url } = await doorTo(await serve(breaking), await serve(breaking))
  const response = await fetch(`${url}/v1/things`, { method: 'POST', body: 'once' })
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(seen).toBe(1)
})

test('with no replica up the answer is 503 with retry-after', async () => {
  const { url, replicas } = await doorTo(await deadUrl())
  for (const replica of replicas) replica.state = 'gone'
  const response = await fetch(`${url}/v1/things`)
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(await response.json()).toEqual(errorBody('unavailable', 'No process of inbox is up right now. Try again.'))
})

test('a stream comes through as it is written, and ends at the replica when the reader leaves', async () => {
  let write: ((text: string) => void) | undefined
  let ended = false
  const { url } = await doorTo(
    await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      write = (text) => response.write(text)
      response.once('close', () => {
        ended = true
      })
    }),
  )
  const leave = new AbortController()
  const response = await fetch(`${url}/v1/things`, { signal: leave.signal })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    write?.(text)
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(text)
  }
  leave.abort()
  await expect.poll(() => ended).toBe(true)
})

test("the replica hears the caller's address, and nothing about the hop before", async () => {
  let headers: NodeJS.Dict<string | string[]> = {}
  const { url } = await doorTo(
    await serve((incoming, response) => {
      headers = incoming.headers
      response.end()
    }),
  )
  await fetch(`${url}/v1/things`, { headers: { 'x-forwarded-for': '203.0.113.7', te: 'trailers' } })
  expect(headers['x-forwarded-for']).toBe('203.0.113.7, 127.0.0.1')
  expect(headers['te']).toBeUndefined()
})

test('what no service lists is 404, and documents are served with a policy of their own', async () => {
  const { url } = await doorTo(await deadUrl())
  expect((await fetch(`${url}/nowhere`)).status).toBe(404)
  const page = await fetch(`${url}/docs`)
  expect(page.status).toBe(200)
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
  expect(((await (await fetch(`${url}/docs/openapi.json`)).json()) as { openapi: string }).openapi).toMatch(/^3\./)
  expect((await fetch(`${url}/docs/../package.json`)).status).toBe(404)
})
