import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startInstance, type Instance } from '../src/instance.ts'
import { allServices } from '../src/services.ts'
import { type Here, makeHere } from './here.ts'

let here: Here
let instance: Instance
const lines: string[] = []
const launch = (port = 0) =>
  startInstance({
    services: allServices,
    home: here.home,
    environment: here.environment,
    split: false,
    port,
    verbose: false,
    say: (line) => lines.push(line),
  })

beforeAll(async () => {
  here = makeHere()
  instance = await launch()
})
afterAll(async () => {
  await instance?.stop()
  await here?.remove()
})

describe('a Parley that runs here', () => {
  test('answers a customer on the simulated phone, and says how the answer came about', async () => {
    const said = await here.parley('say', 'Bonjour, où en est ma commande 1042 ?', '--json')
    expect(said.err).toBe('')
    expect(said.code).toBe(0)
    const { answer, chain, providerMessageId, receiptId } = JSON.parse(said.out)
    expect(answer.text.length).toBeGreaterThan(0)
    expect(instance.simulators.phone?.sent.map((entry) => entry.text)).toContain(answer.text)
    expect(chain.finished).toBe(true)
    const services = new Set<string>(chain.steps.map((step: { service: string }) => step.service))
    expect(services).toEqual(new Set(['ingest', 'inbox', 'agents', 'notifier', 'accounts']))
    const effect = chain.steps.find((step: { kind: string }) => step.kind === 'effect')
    expect(effect).toMatchObject({ service: 'notifier', state: 'confirmed', subject: answer.id })

    // Any id of the chain leads to it: the provider's, the receipt's, an event's.
    const heard = chain.steps.find((step: { kind: string }) => step.kind === 'handled').subject
    for (const id of [providerMessageId, receiptId, heard, answer.id]) {
      const why = await here.parley('why', id, '--json')
      expect(why.code).toBe(0)
      expect(JSON.parse(why.out).map((found: { correlationId: string }) => found.correlationId)).toContain(chain.correlationId)
    }
    const told = await here.parley('why', receiptId)
    expect(told.out).toMatch(/ms {2}ingest +takes a whapi webhook \(messages\.post\) in → message\.received/)
    expect(told.out).toContain('in all:')
  })

  test('tells an id that nothing knows apart from a failure', async () => {
    const { code, err } = await here.parley('why', 'nobody-knows-me')
    expect(code).toBe(1)
    expect(err).toContain('Nothing of the last 7 days mentions nobody-knows-me')
  })

  test('says of a duplicate delivery that it was one', async () => {
    const phone = instance.simulators.phone
    const send = () => phone?.customerSends({ from: '33611111111', text: 'Deux fois', id: 'twice-0001-gSIMU' })
    await send()
    const second = JSON.parse((await send())?.body ?? '{}')
    expect(second).toMatchObject({ duplicate: true })
    const why = await here.parley('why', second.receiptId)
    expect(why.out).toContain('a duplicate delivery')
  })

  test('says why it keeps silent where a person has taken over', async () => {
    const from = ['--from', '33644444444']
    await here.parley('say', 'Je veux parler à un humain', ...from)
    const said = await here.parley('say', 'Il y a quelqu’un ?', ...from, '--timeout', '0', '--json')
    expect(said.code).toBe(1)
    const why = await here.parley('why', JSON.parse(said.out).receiptId)
    expect(why.out).toMatch(/Stopped in inbox: no agent answers in conversation .*\n {2}Why: it is with a person since/)
  })

  test('leaves a customer to a person when the plan’s messages are used up, loses nothing, and says why', async () => {
    const key = readFileSync(here.home.keyFile, 'utf8').trim()
    const call = async (method: string, path: string, body?: unknown) => {
      const headers = { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) }
      const response = await fetch(instance.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
      expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true)
      return response.json() as Promise<{ month: { usedUp: string[] }; items: { id: string; chatId: string | null }[] }>
    }
    const usedUp = (what: string[]) =>
      expect.poll(async () => (await call('GET', '/v1/usage/ai')).month.usedUp, { timeout: 10_000 }).toEqual(what)
    await call('PUT', '/v1/operator/limits', { messages: 0 })
    await usedUp(['messages'])
    const said = await here.parley('say', 'Vous êtes ouverts ?', '--from', '33655555555', '--timeout', '0', '--json')
    const { receiptId } = JSON.parse(said.out)
    const why = async () => (await here.parley('why', receiptId)).out
    await expect.poll(why, { timeout: 15_000 }).toContain('(limit_reached): the messages of the plan are used up this month')

    const { items } = await call('GET', '/v1/conversations?status=with_person&limit=100')
    const mine = items.find(({ chatId }) => chatId?.startsWith('33655555555'))
    expect(mine).toMatchObject({ handedOverReason: 'limit_reached', handedOverNote: 'messages_used_up', unreadCount: 1 })
    expect(instance.simulators.phone?.sentTo('33655555555')).toEqual([])
    // What a person writes goes out: nobody is left without an answer for the sake of a number.
    await call('POST', `/v1/conversations/${mine?.id}/messages`, { text: 'Oui, jusqu’à 18 h.' })
    const sent = () => instance.simulators.phone?.sentTo('33655555555').map(({ text }) => text)
    await expect.poll(sent, { timeout: 10_000 }).toEqual(['Oui, jusqu’à 18 h.'])
    await call('PUT', '/v1/operator/limits', {})
    await usedUp([])
  })

  test('lists, shows and replays receipts', async () => {
    const list = JSON.parse((await here.parley('receipts', 'list', '--provider', 'whapi', '--json')).out)
    const [receipt] = list.items.filter((item: { eventCount: number }) => item.eventCount > 0)
    const shown = await here.parley('receipts', 'show', receipt.id)
    expect(shown.out).toContain('"channel_id":"DEMO-PHONE"')
    expect(shown.out).not.toContain(Object.values(instance.state.sources)[0]?.header.value)
    const replayed = JSON.parse((await here.parley('receipts', 'replay', receipt.id, '--json')).out)
    expect(replayed).toMatchObject({ id: receipt.id, newEvents: 0 })
  })

  test('replays events to the broker without anything happening twice', async () => {
    const sent = () => instance.simulators.phone?.sentTo('33622222222').length
    expect((await here.parley('say', 'Bonjour', '--from', '33622222222')).code).toBe(0)
    const { code, out } = await here.parley('replay', '--since', '1h', '--json')
    expect(code).toBe(0)
    for (const result of JSON.parse(out)) expect(result.more).toBe(false)
    expect(JSON.parse(out).find((result: { service: string }) => result.service === 'ingest').published).toBeGreaterThan(0)
    // Whatever the replay stirred up comes before the answer to this, for lanes are in order.
    expect((await here.parley('say', 'Et maintenant ?', '--from', '33622222222')).code).toBe(0)
    expect(sent()).toBe(2)
  })

  test('keeps what it could not handle where a person finds it, and tries it again when told', async () => {
    const inbox = 'inbox'
    const [event] = await here.sql<{ id: string; envelope: object }>(
      `select id, envelope from ingest.outbox where type = 'message.received' limit 1`,
    )
    const id = crypto.randomUUID()
    await here.sql(
      `insert into inbox.dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, correlation_id, payload, state, error_class, error, attempts)
       select $1, organization_id, 'event', 'receive-message', lane, key, id::text, type, correlation_id, envelope, 'dead', 'bug', 'TypeError: planted', 3 from ingest.outbox where id = $2`,
      [id, event?.id],
    )
    expect((await here.parley('dead', 'list')).out).toContain('TypeError: planted')
    expect((await here.parley('dead', 'list', '--service', 'agents')).out).toContain('Nothing was given up.')
    expect((await here.parley('dead', 'show', id)).out).toContain('"specversion"')
    const why = await here.parley('why', event?.id ?? '')
    expect(why.out).toContain(`Stopped in ${inbox}: receive-message could not take message.received (dead, 3 tries).`)
    expect(why.out).toContain(`parley dead redrive ${id}`)
    const dropped = await here.parley('dead', 'drop', id)
    expect(dropped.out).toContain('is dropped')
    const again = await here.parley('dead', 'redrive', id)
    expect(again).toMatchObject({ code: 1 })
    expect(again.err).toContain('409')
  })

  test('is found healthy by the doctor', async () => {
    const { out } = await here.parley('doctor', '--json')
    const { findings } = JSON.parse(out)
    const state = Object.fromEntries(findings.map((finding: { check: string; state: string }) => [finding.check, finding.state]))
    expect(state).toMatchObject({
      Node: 'ok',
      'state folder': 'ok',
      door: 'ok',
      'process parley': 'ok',
      'outbox age': 'ok',
      'dead letters': 'ok',
      clock: 'ok',
    })
  })

  test('serves the contracts of its calls and events', async () => {
    const page = await fetch(`${instance.url}/docs`)
    expect(page.headers.get('content-security-policy')).toMatch(/script-src 'self';/)
    for (const path of ['/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css'])
      expect((await fetch(instance.url + path)).status).toBe(200)
    for (const name of ['openapi', 'asyncapi'])
      expect(await (await fetch(`${instance.url}/docs/${name}.json`)).json()).toHaveProperty(name)
  })

  test('answers the plugin paths that the split door routes', async () => {
    const answered = async (path: string) => {
      const response = await fetch(instance.url + path, { signal: AbortSignal.timeout(5_000) })
      const { error } = (await response.json()) as { error?: { message: string } }
      return error?.message.startsWith('There is nothing at') !== true
    }
    const prefixes = allServices.flatMap((service) => service.pluginPaths)
    expect(prefixes.length).toBeGreaterThan(3)
    for (const prefix of prefixes) {
      const places = await Promise.all([prefix, `${prefix}/x`, `${prefix}/x/x`].map(answered))
      expect(places, prefix).toContain(true)
    }
  })

  test('is one at a time in its folder', async () => {
    await expect(launch()).rejects.toThrow(`running already at ${instance.url}`)
  })

  test('starts a second time with its data, secrets and address kept', async () => {
    const before = readFileSync(here.home.stateFile, 'utf8')
    const receipts = await here.sql<{ count: string }>('select count(*) from ingest.receipts')
    const url = instance.url
    await instance.stop()
    expect((await here.parley('say', 'Allô ?')).code).toBe(1)
    instance = await launch(Number(new URL(url).port))
    expect(instance.url).toBe(url)
    expect(JSON.parse(readFileSync(here.home.stateFile, 'utf8'))).toMatchObject({
      sources: JSON.parse(before).sources,
      apiKey: JSON.parse(before).apiKey,
    })
    expect(Number((await here.sql<{ count: string }>('select count(*) from ingest.receipts'))[0]?.count)).toBeGreaterThanOrEqual(
      Number(receipts[0]?.count),
    )
    const said = await here.parley('say', 'Bonjour encore', '--from', '33633333333')
    expect(said.code, said.out).toBe(0)
  })
})
