import {
  busAccount,
  type BusService,
  type BusUser,
  type Crossing,
  keeperLists,
  keeperName,
  listsOf,
  processUser,
  serviceUser,
} from './bus-permissions.ts'

export interface BusSettings {
  root?: string
  /** Also a login for all of them in one process. */
  together?: boolean
  /** As it stands in the settings: a literal in quotes, or a variable. */
  passwordOf(name: string): string
}

/** The `accounts` of a nats-server's settings for these services: the streams' own with the keeper, and one for each login. */
export function busSettings(
  services: readonly BusService[],
  { root = 'evt', together = false, passwordOf }: BusSettings,
): string {
  const users = [...services.map((service) => serviceUser(service, root)), ...(together ? [processUser(services, root)] : [])]
  const of = (crossings: readonly Crossing[]) =>
    unique(crossings.filter(({ account }) => account === busAccount).map(({ subject }) => subject))
  const bus = account(busAccount, [
    ['jetstream', 'enabled'],
    ['users', list([login(keeperName, passwordOf(keeperName), keeperLists(root), true)])],
    [
      'exports',
      list([...of(users.flatMap((user) => user.calls)).map(service), ...of(users.flatMap((user) => user.hears)).map(stream)]),
    ],
  ])
  return `accounts: {\n${bus}${users.map((user) => accountOf(user, passwordOf(user.name))).join('')}}\n`
}

function accountOf(user: BusUser, password: string): string {
  const crossing = (kind: string) => (from: Crossing) =>
    `{ ${kind}: { account: ${quoted(from.account)}, subject: ${quoted(from.subject)} }${from.as === from.subject ? '' : `, to: ${quoted(from.as)}`} }`
  return account(user.name, [
    ['users', list([login(user.name, password, listsOf(user), user.answers.length > 0)])],
    ['imports', list([...user.calls.map(crossing('service')), ...user.hears.map(crossing('stream'))])],
    ...(user.answers.length > 0 ? [['exports', list(user.answers.map(service))] as const] : []),
  ])
}

/** Events are asked for once and answered by each of them; the server forgets the way back after a time, which must outlast a request. */
const service = (subject: string) =>
  `{ service: ${quoted(subject)}${subject.includes('.CONSUMER.MSG.NEXT.') ? ', response_type: "stream"' : ''} }`
const stream = (subject: string) => `{ stream: ${quoted(subject)} }`

function login(name: string, password: string, lists: { publish: string[]; subscribe: string[] }, answers: boolean): string {
  const allow = (subjects: string[]) => `{ allow: [${subjects.map(quoted).join(', ')}] }`
  return `{
        user: ${quoted(name)}, password: ${password}
        permissions: {
          publish: ${allow(lists.publish)}
          subscribe: ${allow(lists.subscribe)}
${answers ? '          allow_responses: { max: 1, expires: "30s" }\n' : ''}        }
      }`
}

const account = (name: string, parts: readonly (readonly [string, string])[]) =>
  `  ${quoted(name)}: {\n${parts.map(([key, value]) => `    ${key}: ${value}\n`).join('')}  }\n`
const list = (items: readonly string[]) => `[\n${items.map((item) => `      ${item}\n`).join('')}    ]`
const quoted = (text: string) => JSON.stringify(text)
const unique = (subjects: readonly string[]) => [...new Set(subjects)]
