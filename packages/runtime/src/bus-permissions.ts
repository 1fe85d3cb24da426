import { encodeToken } from '@parley/contracts'
import { countersStream, countersSubject } from './bus-counters.ts'
import { auditEvents } from './types.ts'

/** What a login to the broker may do: what it lists and nothing else (reliability.md A30). */
export interface BusUser {
  name: string
  publish: readonly string[]
  subscribe: readonly string[]
  /** May answer a request, once, at the address that the request names. */
  answers: boolean
}

/** What is read of a service object. */
export interface BusService {
  readonly name: string
  readonly states: readonly { readonly type: string }[]
}

/** Makes the stream, makes it anew when it is lost, and overwrites erased events: nobody else can (docs/decisions/0013). */
export const keeperName = 'keeper'
/** All services in one process are one login: memory they share anyway, and a connection each would only idle. */
export const processName = 'parley'
/** Answers who somebody is. */
const identityService = 'accounts'

export const streamOf = (root: string) => root.toUpperCase()
export const inboxOf = (user: string) => `_INBOX.${user}`
export const pokeSubject = (root: string, topic: string) => `poke.${root}.${encodeToken(topic)}`
export type KeeperQuestion = 'stream' | 'erase' | 'counters'
/** Where `user` asks the keeper; the broker lets nobody else ask in that name. */
export const keeperTopic = (user: string, what: KeeperQuestion) => `${keeperName}.${user}.${what}`

/** The types that a service may publish. */
export const typesOf = (service: BusService) => [...new Set(service.states.map((event) => event.type))].toSorted()

/** Those of them that its erasure may overwrite: the audit log stays. */
export const erasableTypesOf = (service: BusService) =>
  typesOf(service).filter((type) => !auditEvents.some((event) => event.type === type))

/** The login of one service, out of its service object. */
export function serviceUser(service: BusService, root = 'evt'): BusUser {
  const { name } = service
  const stream = streamOf(root)
  const pokes = [`${name}.news`, `${name}.lanes`].map((topic) => pokeSubject(root, topic))
  return {
    name,
    publish: [
      ...typesOf(service).map((type) => `${root}.*.${type}.>`),
      ...pokes,
      `ask.${root}.${keeperName}.${name}.*`,
      `ask.${root}.identity.>`,
      `$JS.API.STREAM.INFO.${stream}`,
      // Whose consumer a name is, a permission cannot say: names end in a secret, and no list of them is given out.
      `$JS.API.CONSUMER.CREATE.${stream}`,
      ...['INFO', 'MSG.NEXT', 'DELETE'].map((call) => `$JS.API.CONSUMER.${call}.${stream}.*`),
      countersSubject(root),
      `$JS.API.DIRECT.GET.${countersStream(root)}.${countersSubject(root)}`,
    ],
    subscribe: [
      `${inboxOf(name)}.>`,
      ...pokes,
      pokeSubject(root, 'stream'),
      ...(name === identityService ? [`ask.${root}.identity.>`] : []),
    ],
    answers: name === identityService,
  }
}

/** The login of a process that runs all of these: what they may together, and its own inbox and name before the keeper. */
export function processUser(services: readonly BusService[], root = 'evt', name = processName): BusUser {
  const users = services.map((service) => serviceUser(service, root))
  const own = (subject: string) => !users.some((user) => subject.includes(`.${keeperName}.${user.name}.`))
  return {
    name,
    publish: unique([...users.flatMap((user) => user.publish).filter(own), `ask.${root}.${keeperName}.${name}.*`]),
    subscribe: unique([
      ...users.flatMap((user) => user.subscribe).filter((subject) => !subject.startsWith('_INBOX.')),
      `${inboxOf(name)}.>`,
    ]),
    answers: users.some((user) => user.answers),
  }
}

/** The one login that manages the stream. It cannot publish an event. */
export function keeperUser(root = 'evt'): BusUser {
  const stream = streamOf(root)
  return {
    name: keeperName,
    publish: [
      ...['CREATE', 'INFO', 'UPDATE', 'DELETE', 'MSG.DELETE'].map((call) => `$JS.API.STREAM.${call}.${stream}`),
      ...['CREATE', 'INFO', 'UPDATE', 'DELETE'].map((call) => `$JS.API.STREAM.${call}.${countersStream(root)}`),
      `$JS.API.DIRECT.GET.${stream}`,
      pokeSubject(root, 'stream'),
    ],
    subscribe: [`${inboxOf(keeperName)}.>`, `ask.${root}.${keeperName}.>`, pokeSubject(root, 'stream')],
    answers: true,
  }
}

/** A login per service, and the keeper's. */
export function busUsers(services: readonly BusService[], root = 'evt'): BusUser[] {
  return [...services.map((service) => serviceUser(service, root)), keeperUser(root)]
}

/** The `authorization` block of a nats-server's settings; `passwordOf` gives a literal or the name of a variable, as it stands there. */
export function printUsers(users: readonly BusUser[], passwordOf: (name: string) => string): string {
  return `authorization {\n  timeout: 5\n  users: [\n${users.map((user) => printUser(user, passwordOf(user.name))).join('')}  ]\n}\n`
}

function printUser({ name, publish, subscribe, answers }: BusUser, password: string): string {
  const list = (subjects: readonly string[]) =>
    `[\n${subjects.map((subject) => `          ${JSON.stringify(subject)}\n`).join('')}        ]`
  return `    {
      user: ${JSON.stringify(name)}
      password: ${password}
      permissions: {
        publish: { allow: ${list(publish)} }
        subscribe: { allow: ${list(subscribe)} }
${answers ? '        allow_responses: { max: 1, expires: "30s" }\n' : ''}      }
    }
`
}

const unique = (subjects: readonly string[]) => [...new Set(subjects)]
