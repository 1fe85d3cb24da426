import { encodeToken } from '@parley/contracts'
import { countersStream, countersSubject } from './bus-counters.ts'
import { auditEvents } from './types.ts'

/** A subject of another account, and what it is called in one's own. */
export interface Crossing {
  account: string
  subject: string
  as: string
}

/**
 * A login to the broker, in an account of its own: what it lists and nothing else (reliability.md A30). Accounts and not only lists
 * of subjects, because the server checks no list for the address that an answer is asked to: an event whose acknowledgement was
 * wished to `$JS.API.STREAM.PURGE.EVT` emptied the stream. In an account of its own such an address leads nowhere (decision 0013).
 */
export interface BusUser {
  name: string
  /** What it calls or publishes outside. */
  calls: readonly Crossing[]
  /** What it hears from outside. */
  hears: readonly Crossing[]
  /** What the processes of this login tell each other. */
  pokes: readonly string[]
  /** Questions that it answers, to anybody. */
  answers: readonly string[]
}

/** What is read of a service object. */
export interface BusService {
  readonly name: string
  readonly states: readonly { readonly type: string }[]
}

/** Makes the stream, makes it anew when it is lost, and overwrites erased events: nobody else can. */
export const keeperName = 'keeper'
/** All services in one process are one login: memory they share anyway, and a connection each would only idle. */
export const processName = 'parley'
/** Where the streams are; only the keeper logs in there. */
export const busAccount = 'BUS'
/** Answers who somebody is. */
const identityService = 'accounts'

const api = '$JS.API'
/** What JetStream is called in a service's account: under its own name the server answers there itself, that there is none. */
export const limitedApi = 'BUS.API'

export const streamOf = (root: string) => root.toUpperCase()
export const inboxOf = (user: string) => `_INBOX.${user}`
export const pokeSubject = (root: string, topic: string) => `poke.${root}.${encodeToken(topic)}`
export type KeeperQuestion = 'stream' | 'erase' | 'counters'
/** Where `user` asks the keeper; the broker lets nobody else ask in that name. */
export const keeperTopic = (user: string, what: KeeperQuestion) => `${keeperName}.${user}.${what}`

/** The types that a service may publish. */
const typesOf = (service: BusService) => [...new Set(service.states.map((event) => event.type))].toSorted()

/** Those of them that its erasure may overwrite: the audit log stays. */
export const erasableTypesOf = (service: BusService) =>
  typesOf(service).filter((type) => !auditEvents.some((event) => event.type === type))

/** The login of a process that runs these services, out of their service objects. */
export function processUser(services: readonly BusService[], root = 'evt', name = processName): BusUser {
  const stream = streamOf(root)
  const identity = `ask.${root}.identity.>`
  const isIdentity = services.some((service) => service.name === identityService)
  const toBus = [
    ...[...new Set(services.flatMap(typesOf))].toSorted().map((type) => `${root}.*.${type}.>`),
    `ask.${root}.${keeperName}.${name}.*`,
    `${api}.STREAM.INFO.${stream}`,
    `${api}.CONSUMER.CREATE.${stream}`,
    // Whose consumer a name is, a list cannot say: names end in a secret, and no list of them is given out.
    ...['INFO', 'MSG.NEXT', 'DELETE'].map((call) => `${api}.CONSUMER.${call}.${stream}.*`),
    countersSubject(root),
    `${api}.DIRECT.GET.${countersStream(root)}.${countersSubject(root)}`,
  ]
  const news = pokeSubject(root, 'stream')
  return {
    name,
    calls: [
      ...toBus.map((subject) => ({ account: busAccount, subject, as: subject.replace(api, limitedApi) })),
      ...(isIdentity ? [] : [{ account: identityService, subject: identity, as: identity }]),
    ],
    hears: [{ account: busAccount, subject: news, as: news }],
    pokes: services.flatMap((service) => ['news', 'lanes'].map((topic) => pokeSubject(root, `${service.name}.${topic}`))),
    answers: isIdentity ? [identity] : [],
  }
}

/** The login of one service's processes. */
export const serviceUser = (service: BusService, root = 'evt') => processUser([service], root, service.name)

/** What the server lets a login publish and subscribe to inside its account. */
export function listsOf({ name, calls, hears, pokes, answers }: BusUser): { publish: string[]; subscribe: string[] } {
  return {
    publish: [...calls.map((call) => call.as), ...pokes, ...answers],
    subscribe: [`${inboxOf(name)}.>`, ...hears.map((news) => news.as), ...pokes, ...answers],
  }
}

/** What the keeper may publish and subscribe to, in the account of the streams. It states nothing. */
export function keeperLists(root = 'evt'): { publish: string[]; subscribe: string[] } {
  const stream = streamOf(root)
  const streams = [stream, countersStream(root)]
  return {
    publish: [
      ...['CREATE', 'INFO', 'UPDATE', 'DELETE'].flatMap((call) => streams.map((name) => `${api}.STREAM.${call}.${name}`)),
      `${api}.STREAM.MSG.DELETE.${stream}`,
      `${api}.DIRECT.GET.${stream}`,
      pokeSubject(root, 'stream'),
    ],
    subscribe: [`${inboxOf(keeperName)}.>`, `ask.${root}.${keeperName}.>`, pokeSubject(root, 'stream')],
  }
}
