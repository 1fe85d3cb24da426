import { type JetStreamManager, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { laneOf, messageReceived, subjectOf, turnTaken } from '@parley/contracts'
import { type Nats, startNats } from '@parley/embedded'
import { type Keeper, keeperName, openKeeper, openLog, processName } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { startModelSimulator, type ModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { spawn } from 'node:child_process'
import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'
import { natsLogins } from '../src/nats-logins.ts'

/** A broker with the logins that `parley start` gives its own; every service is tried, whichever there will be (reliability.md A30). */
const logins = natsLogins(allServices, 'evt', (name) => `password of ${name}`)
const folder = mkdtempSync(join(tmpdir(), 'parley-nats-'))
const names = allServices.map((service) => service.name)
const typesOf = (name: string) => allServices.find((service) => service.name === name)?.states.map((event) => event.type) ?? []
const organizationId = randomUUIDv7()

let server: Nats
let keeper: Keeper
const lines = new Map<string, NatsConnection>()

beforeAll(async () => {
  server = await startNats({ storeFolder: folder, accounts: logins.settings })
  keeper = await openKeeper(
    allServices,
    { NATS_URL: server.url, NATS_MAX_BYTES: String(64 * 1024 ** 2), ...logins.of(keeperName) },
    openLog({ name: keeperName, level: 'silent' }),
  )
  for (const name of [...names, keeperName]) lines.set(name, await logIn(name))
})
afterAll(async () => {
  for (const line of lines.values()) await line.close()
  await keeper?.stop()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const logIn = (user: string, pass = `password of ${user}`) =>
  connect({ servers: server.url, user, pass, inboxPrefix: `_INBOX.${user}`, timeout: 5_000, reconnect: false })
const as = (name: string) => lines.get(name) ?? expect.fail(`nobody is logged in as ${name}`)

/** What the broker says to a request: its answer, or that it is not permitted. */
async function said(name: string, subject: string, body: unknown = ''): Promise<unknown> {
  try {
    const answer = await as(name).request(subject, typeof body === 'string' ? body : JSON.stringify(body), { timeout: 3_000 })
    return answer.json()
  } catch (error) {
    if (error instanceof Error && /Permissions Violation for Publish/.test(`${error.message} ${String(error.cause)}`))
      return 'not permitted'
    throw error
  }
}

/** Whether a subscription stands, or what came of it. */
async function heard(name: string, subject: string): Promise<'allowed' | 'not permitted'> {
  const subscription = as(name).subscribe(subject)
  const refused = (async () => {
    for await (const _message of subscription) expect.fail(`${name} heard something on ${subject}`)
  })().then(
    () => 'allowed' as const,
    () => 'not permitted' as const,
  )
  // The broker answers in order: what it thinks of the subscription comes before the answer to this.
  await as(name).flush()
  subscription.unsubscribe()
  return refused
}

const subject = (type: string, key = 'k') => subjectOf('evt', type, organizationId, key)

describe('the broker', () => {
  test('lets nobody in without a name, or with another’s password', async () => {
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/Authorization/)
    await expect(logIn('ingest', 'password of inbox')).rejects.toThrow(/Authorization/)
    await expect(logIn('nobody')).rejects.toThrow(/Authorization/)
  })
})

describe.each(names)('%s at the broker', (name) => {
  const others = names.filter((other) => other !== name)

  test('publishes each of its own types, and none of another’s', async () => {
    for (const type of typesOf(name)) expect(await said(name, subject(type), 'x'), type).toMatchObject({ stream: 'EVT' })
    const foreign = others.flatMap(typesOf).filter((type) => !typesOf(name).includes(type))
    expect(foreign.length).toBeGreaterThan(3)
    for (const type of new Set(foreign)) expect(await said(name, subject(type), 'x'), type).toBe('not permitted')
  })

  test('cannot manage a stream, list its readers, or delete an event', async () => {
    const calls = [
      ...['DELETE', 'PURGE', 'UPDATE', 'CREATE', 'MSG.DELETE', 'MSG.GET', 'SNAPSHOT', 'RESTORE', 'PEER.REMOVE'].map(
        (call) => `STREAM.${call}.EVT`,
      ),
      ...['DELETE', 'UPDATE', 'CREATE'].map((call) => `STREAM.${call}.EVT_COUNTS`),
      'CONSUMER.NAMES.EVT',
      'CONSUMER.LIST.EVT',
      'CONSUMER.DURABLE.CREATE.EVT.mine',
      'STREAM.LIST',
      'STREAM.NAMES',
      'INFO',
      // It would publish what it takes from one subject under another (`republish`), past every list.
      'STREAM.CREATE.MINE',
    ]
    for (const call of calls)
      for (const api of ['$JS.API', 'BUS.API']) expect(await said(name, `${api}.${call}`), `${api}.${call}`).toBe('not permitted')
  })

  test('hears no advisory, no event beside its lanes, and nobody else’s answers', async () => {
    const foreign = [
      '$JS.EVENT.ADVISORY.>',
      '$SYS.>',
      '>',
      'evt.>',
      '$JS.API.>',
      'BUS.API.>',
      `_INBOX.${keeperName}.>`,
      '_INBOX.>',
      'count.>',
    ]
    const inboxes = others.map((other) => `_INBOX.${other}.>`)
    const questions = ['ask.evt.keeper.>', ...(name === 'accounts' ? [] : ['ask.evt.identity.>'])]
    for (const pattern of [...foreign, ...inboxes, ...questions])
      expect(await heard(name, pattern), pattern).toBe('not permitted')
    expect(await heard(name, `_INBOX.${name}.mine`)).toBe('allowed')
  })

  test('asks the keeper in its own name, about its own types', async () => {
    const ask = { lane: laneOf(organizationId, 'k'), organizationId, key: 'nobody', from: 1 }
    const [own = ''] = typesOf(name)
    const foreign = others.flatMap(typesOf).find((type) => !typesOf(name).includes(type))
    const question = `ask.evt.keeper.${name}.erase`
    expect(await said(name, question, { data: { ...ask, type: own } })).toEqual({ value: { erased: 0, next: null } })
    expect(await said(name, question, { data: { ...ask, type: foreign } })).toMatchObject({ error: { code: 'forbidden' } })
    // What was done and what was read stays on record.
    expect(await said(name, question, { data: { ...ask, type: 'audit.change_recorded' } })).toMatchObject({
      error: { code: 'forbidden' },
    })
    for (const other of others)
      expect(await said(name, `ask.evt.keeper.${other}.erase`, { data: { ...ask, type: own } })).toBe('not permitted')
  })
})

describe('parley keep', () => {
  const keep = (environment: Record<string, string>) => {
    const program = join(import.meta.dirname, '..', 'src', 'main.ts')
    const child = spawn(process.execPath, [program, 'keep'], {
      env: { PATH: process.env['PATH'], LOG_LEVEL: 'silent', ADMIN_PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let words = ''
    for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => (words += chunk.toString()))
    return { child, words: () => words, ended: once(child, 'exit').then(([code]) => code as number | null) }
  }

  test('keeps the stream in a process of its own, says that it is ready, and ends in good order', async () => {
    const { child, words, ended } = keep({ NATS_URL: server.url, ...logins.of(keeperName) })
    await expect.poll(words, { timeout: 20_000 }).toContain('The stream is kept')
    const url = /http:\/\/\S+\d/.exec(words())?.[0]
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ ready: true, checks: { broker: true } })
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('does not start without its password', async () => {
    const { words, ended } = keep({ NATS_URL: server.url })
    expect(await ended).toBe(1)
    expect(words()).toContain('NATS_PASSWORD: is needed')
  })
})

describe('what a list of subjects cannot say', () => {
  /** A reader that the broker sends to by itself: nobody asks whether whoever made it may publish there. */
  const deliverTo = (target: string, key: string) =>
    said('ingest', 'BUS.API.CONSUMER.CREATE.EVT', {
      stream_name: 'EVT',
      config: {
        deliver_subject: target,
        // The group that the keeper and accounts hear questions in.
        deliver_group: 'answer',
        ack_policy: 'none',
        deliver_policy: 'all',
        filter_subject: subject('message.received', key),
      },
    })

  test('an event that is delivered where the keeper is asked asks nothing', async () => {
    const victim = randomUUIDv7()
    await said('agents', subjectOf('evt', turnTaken.type, organizationId, victim), 'still here')
    const forged = { data: { lane: laneOf(organizationId, victim), type: turnTaken.type, organizationId, key: victim, from: 1 } }
    await said('ingest', subject(messageReceived.type, 'forged'), forged)
    expect(await deliverTo('ask.evt.keeper.agents.erase', 'forged')).not.toHaveProperty('error')
    // An honest question behind it: the keeper takes them in order.
    const honest = { lane: 0, type: 'turn.taken', organizationId, key: 'nobody', from: 1 }
    await said('agents', 'ask.evt.keeper.agents.erase', { data: honest })
    const manager = await jetstreamManager(as(keeperName), { checkAPI: false })
    const found = await manager.direct.getMessage('EVT', {
      seq: 1,
      next_by_subj: subjectOf('evt', turnTaken.type, organizationId, victim),
    })
    expect(found?.string()).toBe('still here')
  })

  test('a reader cannot deliver into the stream, nor call its management', async () => {
    expect(await deliverTo(subject(turnTaken.type), 'k')).toMatchObject({ error: { err_code: 10_081 } })
    await said('ingest', subject(messageReceived.type, 'update'), { name: 'EVT', subjects: ['evt.>', 'mine.>'] })
    await deliverTo('$JS.API.STREAM.UPDATE.EVT', 'update')
    await as('ingest').flush()
    expect(await said('ingest', 'BUS.API.STREAM.INFO.EVT')).toMatchObject({ config: { subjects: ['evt.>'] } })
  })

  /**
   * No server looks at the address that an answer is wished to: the answer is then a request by the server itself. Each of these
   * did its work when services shared one account with the stream.
   */
  test('an answer that is wished to the stream’s management, or to another’s subject, arrives nowhere', async () => {
    const target = randomUUIDv7()
    const foreign = subjectOf('evt', turnTaken.type, organizationId, target)
    const own = subjectOf('evt', messageReceived.type, organizationId, target)
    const ask = (wanted: string, reply: string, body = '') => as('ingest').publish(wanted, body, { reply })
    const before = (await said('ingest', 'BUS.API.STREAM.INFO.EVT')) as { created: string; state: { messages: number } }
    await said('ingest', 'count.evt.ingest', { name: 'EVT', subjects: ['evt.>', 'mine.>'] })
    const counter = 'BUS.API.DIRECT.GET.EVT_COUNTS.count.evt.ingest'
    for (const api of ['$JS.API', 'BUS.API']) {
      ask(counter, `${api}.STREAM.UPDATE.EVT`)
      ask(own, `${api}.STREAM.PURGE.EVT`, 'x')
      ask(own, `${api}.STREAM.MSG.DELETE.EVT`, 'x')
      await said('ingest', 'BUS.API.CONSUMER.CREATE.EVT', {
        stream_name: 'EVT',
        config: {
          name: 'none-left',
          ack_policy: 'none',
          deliver_policy: 'new',
          filter_subject: subject(messageReceived.type, 'none'),
        },
      })
      // Nothing to give: an answer without a word in it, which is how a stream is deleted.
      ask('BUS.API.CONSUMER.MSG.NEXT.EVT.none-left', `${api}.STREAM.DELETE.EVT`, JSON.stringify({ batch: 1, no_wait: true }))
    }
    ask(counter, foreign)
    ask('ask.evt.keeper.ingest.counters', foreign, JSON.stringify({ data: {} }))
    await as('ingest').flush()
    // Whatever the server still does of it, it does before it answers the keeper, who asks twice.
    const manager = await jetstreamManager(as(keeperName), { checkAPI: false })
    await manager.streams.info('EVT')
    const after = await manager.streams.info('EVT')
    expect(after.created).toBe(before.created)
    expect(after.config.subjects).toEqual(['evt.>'])
    expect(after.state.messages).toBe(before.state.messages + 4)
    expect(after.state.num_deleted ?? 0).toBe(0)
    expect(await manager.direct.getMessage('EVT', { seq: 1, next_by_subj: foreign })).toBeNull()
  })
})

describe('all services in one process, under their list', () => {
  let world: World
  let phone: WhapiSimulator
  let model: ModelSimulator
  let manager: JetStreamManager

  beforeAll(async () => {
    model = await startModelSimulator({})
    phone = await startWhapiSimulator({ token: 'phone-token', channelId: 'SHOP-PHONE' })
    manager = await jetstreamManager(as(keeperName), { checkAPI: false })
    world = await startWorld({
      services: allServices,
      postgresUrl: inject('postgresUrl'),
      natsUrl: server.url,
      environment: {
        ...logins.of(processName),
        BUS_ROOT: 'evt',
        MODEL_SIMULATOR_URL: model.baseUrl,
        NOTIFIER_WHAPI_GATEWAYS: phone.url,
        AGENTS_QUIET_MS: '100',
        AGENTS_QUIET_MAX_MS: '400',
      },
    })
    const source = await world.call('POST', '/v1/webhook-sources', {
      body: { provider: 'whapi', accountId: 'SHOP-PHONE', name: 'Shop' },
    })
    phone.setWebhook({
      url: world.running.url + source.body.path,
      headers: { [source.body.header.name]: source.body.header.value },
    })
    await world.call('PUT', '/v1/channels/SHOP-PHONE', { body: { token: 'phone-token', baseUrl: phone.url } })
  }, 60_000)
  afterAll(async () => {
    await world?.stop()
    await phone?.close()
    await model?.close()
  })

  const answered = async (from: string) => {
    await phone.customerSends({ from, name: 'Zoé', text: 'Bonjour, où en est ma commande 1042 ?' })
    await phone.waitForSent((sent) => sent.to.startsWith(from), 20_000)
    await world.settle(30_000)
    expect(phone.sentTo(`${from}@s.whatsapp.net`)).toHaveLength(1)
  }

  test('do the main job, and nothing that is not permitted', async () => {
    await answered('33612345678')
    expect(readFileSync(join(folder, 'nats.log'), 'utf8')).not.toContain(`Violation - User "${processName}"`)
  })

  test('get the stream back from the keeper when it is lost, with all that was in it (F9)', async () => {
    const before = (await manager.streams.info('EVT')).state.messages
    expect(before).toBeGreaterThan(5)
    await manager.streams.delete('EVT')
    await answered('33698765432')
    const { config, state } = await manager.streams.info('EVT')
    expect(config.retention).toBe(RetentionPolicy.Limits)
    const known = await Promise.all(names.map((name) => world.events(name)))
    expect(state.messages).toBe(known.flat().length)
  })

  test('erase a key’s events through the keeper', async () => {
    const [event] = await world.events('inbox', 'message.added')
    if (!event) throw new Error('inbox stated nothing.')
    const { bus } = world.running
    const mine = subjectOf('evt', event.type, world.organizationId, event.key)
    expect(await manager.direct.getMessage('EVT', { seq: 1, next_by_subj: mine })).not.toBeNull()
    const erased = await bus.eraseKey(laneOf(world.organizationId, event.key), [event.type], world.organizationId, event.key)
    expect(erased).toBeGreaterThan(0)
    expect(await manager.direct.getMessage('EVT', { seq: 1, next_by_subj: mine })).toBeNull()
    expect(readFileSync(join(folder, 'nats.log'), 'utf8')).not.toContain(`Violation - User "${processName}"`)
  })
})
