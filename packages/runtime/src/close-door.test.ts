import { Agent, request } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closableDoor } from './close-door.ts'
import { openDoor } from './http.ts'
import { openLog } from './log.ts'

type Door = Awaited<ReturnType<typeof openDoor>>
let door: Door
let close: ReturnType<typeof closableDoor>
let port: number
let agent: Agent
/** Calls that the route is working on. */
let underWay = 0

beforeEach(async () => {
  const log = openLog({
    name: 'test',
    level: 'silent',
    destination: new Writable({ write: (_chunk, _encoding, done) => done() }),
  })
  door = await openDoor({ log, trustProxy: [], requestsPerMinute: 1_000 })
  close = closableDoor(door)
  door.get('/slow/:ms', async (call) => {
    underWay++
    await wait(Number((call.params as { ms: string }).ms))
    underWay--
    return { late: true }
  })
  await door.listen({ host: '127.0.0.1', port: 0 })
  port = (door.server.address() as AddressInfo).port
  agent = new Agent({ keepAlive: true })
})
afterEach(() => {
  agent.destroy()
  door.server.closeAllConnections()
})

/** A call whose client keeps the connection for the next one. */
const call = (path: string) =>
  new Promise<{ status: number | undefined; connection: string | undefined }>((resolve, reject) => {
    request({ port, path, agent }, (response) => {
      response.resume()
      response.once('end', () => resolve({ status: response.statusCode, connection: response.headers.connection }))
      response.once('error', reject)
    })
      .once('error', reject)
      .end()
  })
const busy = async () => {
  while (underWay === 0) await wait(2)
}

async function took(work: Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work
  return performance.now() - started
}

describe('a door that closes', () => {
  test('answers the call under way, tells its client that the connection ends, and does not keep it', async () => {
    const answer = call('/slow/200')
    await busy()
    const elapsed = took(close(20_000))
    expect(await answer).toEqual({ status: 200, connection: 'close' })
    expect(await elapsed).toBeLessThan(5_000)
  })

  test('does not wait for a connection on which nothing was ever said, nor for one between two calls', async () => {
    expect((await call('/slow/0')).connection).toBe('keep-alive')
    const silent = connect(port, '127.0.0.1')
    await new Promise((resolve) => silent.once('connect', resolve))
    expect(await took(close(20_000))).toBeLessThan(5_000)
    silent.destroy()
  })

  test('cuts what is not over in its time', async () => {
    const answer = call('/slow/6000').catch((error: Error) => error)
    await busy()
    expect(await took(close(300))).toBeLessThan(5_000)
    expect(await answer).toBeInstanceOf(Error)
  })
})
