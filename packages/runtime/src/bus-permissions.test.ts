import { describe, expect, test } from 'vitest'
import { busAccount, keeperLists, listsOf, processUser, serviceUser } from './bus-permissions.ts'
import { busSettings } from './bus-settings.ts'
import { auditEvents } from './types.ts'

const ingest = { name: 'ingest', states: [{ type: 'message.received' }, { type: 'call.ended' }, ...auditEvents] }
const accounts = { name: 'accounts', states: [{ type: 'member.joined' }] }
const services = [accounts, ingest]

/** As the broker reads a subject of a list. */
function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return given.length > index
    if (given[index] === undefined || (token !== '*' && token !== given[index])) return false
  }
  return wanted.length === given.length
}
type Lists = ReturnType<typeof listsOf>
const may = (lists: Lists, what: keyof Lists, subject: string) => lists[what].some((pattern) => covers(pattern, subject))

describe('a service’s login', () => {
  const lists = listsOf(serviceUser(ingest))

  test('publishes what the service states, in every lane, and nothing that another states', () => {
    for (const lane of [0, 15]) {
      expect(may(lists, 'publish', `evt.${lane}.message.received.org.key`)).toBe(true)
      expect(may(lists, 'publish', `evt.${lane}.audit.change_recorded.org.key`)).toBe(true)
      expect(may(lists, 'publish', `evt.${lane}.member.joined.org.key`)).toBe(false)
    }
    // A longer type that begins alike is another type.
    expect(may(lists, 'publish', 'evt.0.message.receivedx.org.key')).toBe(false)
  })

  test.each(['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'MSG.DELETE', 'MSG.GET', 'SNAPSHOT', 'RESTORE'])(
    'has no STREAM.%s',
    (call) => {
      for (const user of [serviceUser(ingest), serviceUser(accounts), processUser(services)])
        for (const name of ['EVT', 'EVT_COUNTS', 'OTHER'])
          expect(user.calls.some(({ subject }) => covers(subject, `$JS.API.STREAM.${call}.${name}`))).toBe(false)
    },
  )

  test('hears its own inbox and pokes; no event, no advisory, nobody else’s answers', () => {
    expect(may(lists, 'subscribe', '_INBOX.ingest.abc')).toBe(true)
    expect(may(lists, 'subscribe', 'poke.evt.ingest%2Enews')).toBe(true)
    const foreign = ['_INBOX.accounts.abc', '_INBOX.abc', 'evt.0.message.received.org.key', '$JS.EVENT.ADVISORY.API']
    for (const subject of [...foreign, 'ask.evt.identity.member']) expect(may(lists, 'subscribe', subject), subject).toBe(false)
  })

  test('asks the keeper in its own name only, and answers who somebody is only when it is accounts', () => {
    expect(may(lists, 'publish', 'ask.evt.keeper.ingest.erase')).toBe(true)
    expect(may(lists, 'publish', 'ask.evt.keeper.accounts.erase')).toBe(false)
    expect(may(lists, 'publish', 'ask.evt.identity.member')).toBe(true)
    expect(serviceUser(ingest).answers).toEqual([])
    expect(serviceUser(accounts).answers).toEqual(['ask.evt.identity.>'])
  })

  test('has JetStream under a name that an answer cannot be sent to by mistake or malice', () => {
    for (const { account, as } of serviceUser(ingest).calls) if (account === busAccount) expect(as).not.toMatch(/^\$/)
  })
})

describe('the keeper', () => {
  test('manages the stream and states nothing', () => {
    expect(may(keeperLists(), 'publish', '$JS.API.STREAM.DELETE.EVT')).toBe(true)
    expect(may(keeperLists(), 'publish', 'evt.0.message.received.org.key')).toBe(false)
  })
})

describe('all services in one process', () => {
  test('may together what each may, under a name of their own', () => {
    const lists = listsOf(processUser(services))
    for (const service of services)
      for (const { type } of service.states) expect(may(lists, 'publish', `evt.3.${type}.org.key`)).toBe(true)
    expect(may(lists, 'publish', 'ask.evt.keeper.parley.stream')).toBe(true)
    expect(may(lists, 'publish', 'ask.evt.keeper.ingest.stream')).toBe(false)
    expect(may(lists, 'subscribe', '_INBOX.parley.abc')).toBe(true)
    expect(may(lists, 'subscribe', '_INBOX.ingest.abc')).toBe(false)
    // It answers itself.
    expect(may(lists, 'subscribe', 'ask.evt.identity.member')).toBe(true)
  })
})

test('no list holds a wildcard that would cover more than one kind of subject', () => {
  const lists = [keeperLists(), ...[...services.map((service) => serviceUser(service)), processUser(services)].map(listsOf)]
  const patterns = lists.flatMap(({ publish, subscribe }) => [...publish, ...subscribe])
  expect(patterns.length).toBeGreaterThan(40)
  expect(patterns.filter((pattern) => /^[^.]*[*>]|^[^.]+\.[*>]$|^(\$JS|BUS)\.(API\.)?[*>]|^\$SYS/.test(pattern))).toEqual([])
})

describe('a server’s settings', () => {
  const text = busSettings(services, { passwordOf: (name) => `"secret of ${name}"` })

  test('give each login an account of its own, and the streams one with the keeper alone', () => {
    for (const name of ['accounts', 'ingest', 'keeper']) expect(text).toContain(`user: "${name}", password: "secret of ${name}"`)
    expect(text.match(/^ {2}"(\w+)": \{$/gm)).toEqual(['  "BUS": {', '  "accounts": {', '  "ingest": {'])
    expect(text.match(/jetstream: enabled/g)).toHaveLength(1)
  })

  test('let only those answer who are asked', () => {
    expect(text.match(/allow_responses/g)).toHaveLength(2)
  })

  test('have a login for all in one process when it is wanted', () => {
    expect(text).not.toContain('"parley"')
    expect(busSettings(services, { together: true, passwordOf: () => '"x"' })).toContain('user: "parley"')
  })
})
