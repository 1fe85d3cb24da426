import {
  type Actor,
  changeAudited,
  type Event,
  type EventType,
  type Permission,
  readAudited,
  type Scope,
} from '@parley/contracts'
import type { FastifyInstance } from 'fastify'
import type { Kysely } from 'kysely'
import type { z } from 'zod'
import type { RecordRead } from './audit-reads.ts'
import type { Asks } from './bus-asks.ts'
import type { Session } from './db.ts'
import type { ProveOutside } from './identity/outside.ts'
import type { Logger } from './log.ts'
import type { ObjectStore } from './object-store.ts'
import type { Refusals } from './refusals.ts'
import type { Call } from './unit.ts'

/** An open transaction of one organization: row-level security is set, time-outs are on. Queries take it first. */
export type Tx<DB> = Kysely<DB>

/** States a fact: it is published if and only if the surrounding commit succeeds. Throws ContractError on bad data. */
export type Emit = <Data>(type: EventType<Data>, data: Data) => void

export interface LaterOptions {
  /** Orders or merges runs, as the job's policy says. */
  key?: string
  /** Not before then. */
  startAfter?: Date
  /** Runs with a smaller number wait for those with a larger one. Default 0. */
  priority?: number
}

/** Asks for a job run: it exists if and only if the surrounding commit succeeds. */
export type Later = <Data>(job: JobRef<Data>, data: Data, options?: LaterOptions) => void

/** What an audit entry says of a change, beside who made it, when and from where, which the runtime knows. */
export interface AuditedChange {
  /** `member`, `connection`: the noun of what changed. */
  resourceType: string
  resourceId: string
  /** Only what changed; null when it was not there before, or is not there any more. Secrets never, not even sealed ones. */
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  /** Why, in the words of who did it. */
  reason?: string | null
  /** Default: the call's method and path, or the name of the handler or job. */
  action?: string
}

/** Records a change for the organization's audit log: it is there if and only if the surrounding commit succeeds. */
export type Audit = (change: AuditedChange) => void

/** What a commit may do beside its rows. */
export interface CommitTools {
  emit: Emit
  later: Later
  audit: Audit
}

/** One transaction of the caller's organization: rows, events and jobs together or not at all. May be run again, so it must not touch anything but its arguments. */
export type CommitFn<DB> = <T>(work: (tx: Tx<DB>, tools: CommitTools) => Promise<T>) => Promise<T>

/** A read-only transaction of the caller's organization. */
export type ReadFn<DB> = <T>(work: (tx: Tx<DB>) => Promise<T>) => Promise<T>

// --- handlers ---

export interface HandlerContext<App, DB, Data> extends CommitTools {
  event: Event<Data>
  app: App
  /** The open commit. */
  tx: Tx<DB>
  /**
   * Leaves `item` to work that is done once for all events of this commit and organization, before the commit ends: a statement for
   * sixty rows costs little more than one for a single row. When it fails, the events are tried one by one, and each has it for itself.
   */
  together<Item>(work: SharedWork<App, DB, Item>, item: Item): void
}

/** Work that events share, told apart by its identity: name it once, outside the handler. `items` are in the order of their events. */
export type SharedWork<App, DB, Item> = (
  context: { app: App; tx: Tx<DB>; organizationId: string },
  items: readonly Item[],
) => Promise<void>

export interface Handler<App = unknown, DB = unknown, Data = unknown> {
  readonly name: string
  readonly event: EventType<Data>
  run(context: HandlerContext<App, DB, Data>): Promise<void>
}

// --- jobs ---

/** How runs of a job with the same key stand to each other. */
export type JobPolicy =
  /** No order, any number at once. */
  | 'standard'
  /** One at a time per key. */
  | 'singleton'
  /** One running and at most one waiting per key: a second request while one waits changes nothing. */
  | 'stately'
  /** Strict order per key; a failed run blocks its key until it is dead-lettered. */
  | 'key_strict_fifo'

export interface JobSettings {
  policy?: JobPolicy
  /** Tries after the first. Default 5. */
  retryLimit?: number
  /** Base of the exponential, jittered back-off. Default 2. */
  retryDelaySeconds?: number
  /** Longest back-off. Default 300. */
  retryDelayMaxSeconds?: number
  /** A run is ended and tried again after this. Default 120. */
  expireSeconds?: number
  /** Runs at once in one process, shared by the organizations that have any. Default 8. */
  concurrency?: number
  /** It acts in outside systems for the organization: while that is closed, its runs are held, and go on when it opens again. Default false. */
  outward?: boolean
}

/** What `later` needs to know of a job. */
export interface JobRef<Data> {
  readonly name: string
  readonly schema: z.ZodType<Data>
}

export interface JobContext<App, DB, Data> {
  data: Data
  organizationId: string
  app: App
  read: ReadFn<DB>
  /** Fenced: once this run has lost its lease, it throws LeaseLost and writes nothing. */
  commit: CommitFn<DB>
  /** As `commit`, and ends the run in the same transaction: nothing can come between its last words and its end. Return after it. */
  finish: CommitFn<DB>
  /** Which try this is, from 1, and how many there will be. */
  attempt: number
  attempts: number
  /** Aborts when the run expires or the process must stop. */
  signal: AbortSignal
  /** Ids for effect keys and traces. */
  jobId: string
  correlationId: string
  /** The same run, for work that belongs to another chain than the one that asked for the run: a queue's next item, say. */
  onBehalfOf(correlationId: string): JobContext<App, DB, Data>
  /** W3C trace context to hand to the outside system. */
  traceHeaders: Record<string, string>
  log: Logger
}

export interface Job<App = unknown, DB = unknown, Data = unknown> extends JobRef<Data> {
  readonly settings: JobSettings
  run(context: JobContext<App, DB, Data>): Promise<void>
}

// --- routes ---

/** Who makes a call, and for which organization. */
export interface Caller {
  /** `installationId` for a public call and for somebody who has not chosen an organization. */
  organizationId: string
  /** `operator`: a key out of PARLEY_API_KEYS. */
  actor: Actor
  /** The person, when it is one. */
  userId: string | null
  /** For a key of an organization: the person it speaks for. */
  makerId?: string
  /** Their session, when they signed in here (outside issuers have none). */
  sessionId: string | null
  /** What they may do here, at this moment: role and membership are looked up for each call, not believed from the token. */
  permissions: ReadonlySet<Permission>
  /** When they last proved who they are (password, code, link), in milliseconds since 1970; null for keys. */
  authenticatedAt: number | null
}

/** Where a call came from. */
export interface CallOrigin {
  /** Behind TRUST_PROXY, the address that the proxy names. */
  ip: string
  userAgent: string | null
}

export interface RouteContext<App, DB, Params, Query, Body> {
  params: Params
  query: Query
  body: Body
  caller: Caller
  from: CallOrigin
  app: App
  read: ReadFn<DB>
  commit: CommitFn<DB>
  /** The call's own id: correlation id of what it causes. */
  requestId: string
  log: Logger
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route<App = unknown, DB = unknown> {
  readonly method: HttpMethod
  /** Fastify path, parameters as `:name`. */
  readonly path: string
  /** Other paths that answer alike, `METHOD /path`: those of the source documents. */
  readonly also: readonly string[]
  readonly summary: string
  readonly scope: Scope
  readonly personalData: string | null
  readonly perMinute: number | null
  readonly refuses: Refusals
  readonly params: z.ZodType | undefined
  readonly query: z.ZodType | undefined
  readonly body: z.ZodType | undefined
  readonly reply: z.ZodType
  readonly status: number
  run(context: RouteContext<App, DB, unknown, unknown, unknown>): Promise<unknown>
}

export interface RouteSpec<App, DB, Params, Query, Body, Reply> {
  method: HttpMethod
  path: string
  also?: readonly string[]
  summary: string
  /** What the caller must be allowed; `public`: anybody; `self`: whoever is signed in, also without an organization. */
  scope: Scope
  /** The kind of personal data that the answer holds (`customer`, `message`): each call is noted in the organization's audit log before it is answered. */
  personalData?: string
  /** Calls per minute from one address before 429; public routes have 60 unless they say otherwise. */
  perMinute?: number
  /**
   * What it refuses with, in the words it uses, beside what may come to every call (input, credential, permission, limits, our own
   * troubles): `{ not_found: 'No return with that id.' }`. It is documentation, and tests hold the route to it.
   */
  refuses?: Refusals
  params?: z.ZodType<Params>
  query?: z.ZodType<Query>
  body?: z.ZodType<Body>
  reply: z.ZodType<Reply>
  /** Default 200. */
  status?: number
  run(context: RouteContext<App, DB, Params, Query, Body>): Promise<Reply>
}

// --- services ---

/** One step of a service's schema, run once, in the order of its name, by the owner role. `up` is SQL. */
export interface Migration {
  readonly name: string
  readonly up: string
}

/** What the runtime gives a service when it opens. */
export interface OpenContext<DB, Config> {
  /** Asks another service for what it knows, now. Facts travel as events; a service that can wait listens to those. */
  ask: Asks['ask']
  /** Answers such questions until the service closes. */
  answer<Question>(topic: string, question: z.ZodType<Question>, reply: (question: Question) => Promise<unknown>): void
  config: Config
  log: Logger
  /** Read and commit for work that no handler, job or route started (provisioning, streams). */
  database: ServiceDatabase<DB>
  /** Undefined when the operator has set up none. */
  objects: ObjectStore | undefined
  /**
   * Takes every stored event of these keys out of this service's outbox and overwrites them in the stream (erasure). Resolves with
   * how many went; safe to repeat.
   */
  eraseEvents(organizationId: string, keys: readonly string[]): Promise<{ outbox: number; stream: number }>
  /** Whom a token of an issuer that the operator trusts is of. Throws TokenRefused, or `unavailable` without that issuer's keys. */
  proveOutside: ProveOutside
  now(): Date
}

export interface ServiceDatabase<DB> {
  read<T>(organizationId: string, work: (tx: Tx<DB>) => Promise<T>): Promise<T>
  commit<T>(
    origin: { organizationId: string; correlationId?: string; causationId?: string; call?: Call },
    work: (tx: Tx<DB>, tools: CommitTools) => Promise<T>,
  ): Promise<T>
  /**
   * Calls `listener` soon after any commit of this service by any replica, at most every 20 ms; returns the unsubscribe.
   * A missed wake is possible: poll beside it.
   */
  onCommit(listener: () => void): () => void
  /** The bare transaction, for a hot path that writes many organizations' rows at once; null: no organization is set yet. Call `wake` after it. */
  transaction<T>(organizationId: string | null, work: (session: Session<DB>) => Promise<T>): Promise<T>
  /** Events were written to the outbox by `transaction`. */
  wake(): void
}

export interface Service<App = unknown, DB = unknown, Config = unknown> {
  /** Also the name of its Postgres schema, with '-' as '_'. */
  readonly name: string
  readonly summary: string
  /** What it reads from the environment. */
  readonly config: z.ZodType<Config>
  readonly routes: readonly Route<App, DB>[]
  readonly handlers: readonly Handler<App, DB, never>[]
  readonly jobs: readonly Job<App, DB, never>[]
  readonly migrations: readonly Migration[]
  /** The events it states; those of the audit log among them. */
  readonly states: readonly EventType<never>[]
  /**
   * How many milliseconds an event may wait for others to be handled with, in one transaction: 0 for a service that somebody waits for,
   * some tens for one that only keeps books.
   */
  readonly gatherMs: number
  open(context: OpenContext<DB, Config>): Promise<App>
  close?(app: App): Promise<void>
  /** Path prefixes that `plugin` answers, for whoever routes to this service from outside. */
  readonly pluginPaths: readonly string[]
  /** Routes that need the raw request (webhooks, streams); everything else is a Route. */
  plugin?(fastify: FastifyInstance, app: App, context: PluginContext<DB, Config>): Promise<void>
}

/** What a plugin does for itself that a Route has done for it. */
export type PluginContext<DB, Config> = OpenContext<DB, Config> & {
  authenticate: Authenticate
  /** Notes a read of personal data; await it before the answer begins. */
  recordRead: RecordRead
}

/**
 * Reads the bearer credential of a request (access token or API key) and looks up what its owner may do now. Throws AppError
 * unauthenticated, too_many_requests, or forbidden when the permission is missing. Sets the RateLimit headers of a key on `reply`.
 */
export type Authenticate = (
  request: { headers: Record<string, string | string[] | undefined>; ip?: string },
  scope: Scope,
  reply?: { header(name: string, value: string): unknown },
  /** `again`: asked once more about a call that goes on; it is none of the calls that a key's limits count. */
  options?: { again: boolean },
) => Promise<Caller>

/** `on`, `job` and `route` for one service's App and tables: what src/app.ts exports. */
export function kit<App, DB>() {
  return {
    on<Data>(
      name: string,
      event: EventType<Data>,
      run: (context: HandlerContext<App, DB, Data>) => Promise<void>,
    ): Handler<App, DB, Data> {
      return { name, event, run }
    },
    job<Data>(
      name: string,
      schema: z.ZodType<Data>,
      settings: JobSettings,
      run: (context: JobContext<App, DB, Data>) => Promise<void>,
    ): Job<App, DB, Data> {
      return { name, schema, settings, run }
    },
    route<Params = undefined, Query = undefined, Body = undefined, Reply = unknown>(
      spec: RouteSpec<App, DB, Params, Query, Body, Reply>,
    ): Route<App, DB> {
      return {
        method: spec.method,
        path: spec.path,
        also: spec.also ?? [],
        summary: spec.summary,
        scope: spec.scope,
        personalData: spec.personalData ?? null,
        perMinute: spec.perMinute ?? (spec.scope === 'public' ? 60 : null),
        refuses: spec.refuses ?? {},
        params: spec.params,
        query: spec.query,
        body: spec.body,
        reply: spec.reply,
        status: spec.status ?? 200,
        run: (context) => spec.run(context as RouteContext<App, DB, Params, Query, Body>),
      }
    },
  }
}

/** Every service states these: the runtime does it, for its commits and for its routes. */
export const auditEvents = [changeAudited, readAudited] as const

/** Names a service; its lists are checked for doubles at start. */
export function defineService<App, DB, Config>(spec: {
  name: string
  summary: string
  config: z.ZodType<Config>
  routes?: readonly Route<App, DB>[]
  handlers?: readonly { name: string; event: { type: string; version: number }; run(context: never): Promise<void> }[]
  jobs?: readonly { name: string; schema: z.ZodType; settings: JobSettings; run(context: never): Promise<void> }[]
  migrations: readonly Migration[]
  states?: readonly { type: string; version: number }[]
  gatherMs?: number
  open(context: OpenContext<DB, Config>): Promise<App>
  close?(app: App): Promise<void>
  pluginPaths?: readonly string[]
  plugin?(fastify: FastifyInstance, app: App, context: PluginContext<DB, Config>): Promise<void>
}): Service<App, DB, Config> {
  return {
    routes: [],
    pluginPaths: [],
    gatherMs: 0,
    ...spec,
    handlers: (spec.handlers ?? []) as unknown as readonly Handler<App, DB, never>[],
    jobs: (spec.jobs ?? []) as unknown as readonly Job<App, DB, never>[],
    states: [...(spec.states ?? []), ...auditEvents] as unknown as readonly EventType<never>[],
  }
}
