import { describe, expect, test } from 'vitest'
import { type BusUser, busUsers, keeperName, keeperUser, printUsers, processUser, serviceUser } from './bus-permissions.ts'
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
const may = (user: BusUser, what: 'publish' | 'subscribe', subject: string) =>
  user[what].some((pattern) => covers(pattern, subject))

describe('a service’s login', () => {
  const user = serviceUser(ingest)

  test('publishes what the service states, in every lane, and nothing that another states', () => {
    for (const lane of [0, 15]) {
      expect(may(user, 'publish', `evt.${lane}.message.received.org.key`)).toBe(true)
      expect(may(user, 'publish', `evt.${lane}.audit.change_recorded.org.key`)).toBe(true)
      expect(may(user, 'publish', `evt.${lane}.member.joined.org.key`)).toBe(false)
    }
    // A longer type that begins alike is another type.
    expect(may(user, 'publish', 'evt.0.message.receivedx.org.key')).toBe(false)
  })

  test.each(['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'MSG.DELETE', 'MSG.GET', 'SNAPSHOT', 'RESTORE'])(
    'has no STREAM.%s',
    (call) => {
      for (const { publish } of [user, serviceUser(accounts), processUser(services)])
        for (const stream of ['EVT', 'EVT_COUNTS', 'OTHER'])
          expect(publish.some((pattern) => covers(pattern, `$JS.API.STREAM.${call}.${stream}`))).toBe(false)
    },
  )

  test('hears its own inbox and pokes; no event, no advisory, nobody else’s answers', () => {
    expect(may(user, 'subscribe', '_INBOX.ingest.abc')).toBe(true)
    expect(may(user, 'subscribe', 'poke.evt.ingest%2Enews')).toBe(true)
    for (const subject of [
      '_INBOX.accounts.abc',
      '_INBOX.abc',
      'evt.0.message.received.org.key',
      '$JS.EVENT.ADVISORY.API',
      'ask.evt.identity.member',
    ])
      expect(may(user, 'subscribe', subject), subject).toBe(false)
  })

  test('asks the keeper in its own name only, and answers who somebody is only when it is accounts', () => {
    expect(may(user, 'publish', 'ask.evt.keeper.ingest.erase')).toBe(true)
    expect(may(user, 'publish', 'ask.evt.keeper.accounts.erase')).toBe(false)
    expect(may(user, 'publish', 'ask.evt.identity.member')).toBe(true)
    expect(user.answers).toBe(false)
    expect(serviceUser(accounts)).toMatchObject({ answers: true })
    expect(may(serviceUser(accounts), 'subscribe', 'ask.evt.identity.member')).toBe(true)
  })
})

describe('the keeper', () => {
  test('manages the stream and states nothing', () => {
    const keeper = keeperUser()
    expect(may(keeper, 'publish', '$JS.API.STREAM.DELETE.EVT')).toBe(true)
    expect(may(keeper, 'publish', 'evt.0.message.received.org.key')).toBe(false)
  })
})

describe('all services in one process', () => {
  test('may together what each may, under a name of their own', () => {
    const process = processUser(services)
    for (const service of services)
      for (const { type } of service.states) expect(may(process, 'publish', `evt.3.${type}.org.key`)).toBe(true)
    expect(may(process, 'publish', 'ask.evt.keeper.parley.stream')).toBe(true)
    expect(may(process, 'publish', 'ask.evt.keeper.ingest.stream')).toBe(false)
    expect(may(process, 'subscribe', '_INBOX.parley.abc')).toBe(true)
    expect(may(process, 'subscribe', '_INBOX.ingest.abc')).toBe(false)
    expect(process.answers).toBe(true)
  })
})

test('no list holds a wildcard that would cover more than one kind of subject', () => {
  const patterns = [...busUsers(services), processUser(services)].flatMap(({ publish, subscribe }) => [...publish, ...subscribe])
  expect(patterns.length).toBeGreaterThan(40)
  expect(patterns.filter((pattern) => /^[^.]*[*>]|^[^.]+\.[*>]$|^\$(JS\.(API\.)?|KV\.|SYS\.)[*>]/.test(pattern))).toEqual([])
})

test('a server’s settings name every login with its password, and only those that answer may', () => {
  const text = printUsers(busUsers(services), (name) => `"secret of ${name}"`)
  for (const name of ['accounts', 'ingest', keeperName])
    expect(text).toContain(`user: "${name}"\n      password: "secret of ${name}"`)
  expect(text.match(/allow_responses/g)).toHaveLength(2)
})
