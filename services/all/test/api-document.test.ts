import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type Answer, type World } from '@parley/runtime/testing'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { randomBytes, randomInt, randomUUIDv7 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { projectFolder } from '../src/home.ts'
import { allServices } from '../src/index.ts'

/**
 * docs/openapi.json as a client's developer uses it: every example is sent as it stands there, with only the ids put in that this
 * world has, and what comes back is held against what the document promises.
 */
interface Content {
  schema: object
  example?: unknown
}
interface Call {
  method: string
  path: string
  security?: Record<string, string[]>[]
  parameters?: { name?: string; in?: string; example?: string }[]
  requestBody?: { content: Record<string, Content> }
  responses: Record<string, { $ref?: string; content?: Record<string, Content> }>
}
interface Accounts {
  accessTokens: {
    sign(claims: {
      userId: string
      sessionId: string
      organizationId: string
      authenticatedAt: Date
      secondFactor: boolean
    }): Promise<{ accessToken: string }>
  }
}

const document = JSON.parse(readFileSync(join(projectFolder, 'docs', 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Omit<Call, 'method' | 'path'>>>
}
const at = (method: string, path: string): Call => {
  const call = document.paths[path]?.[method.toLowerCase()]
  if (!call) throw new Error(`docs/openapi.json has no ${method} ${path}.`)
  return { ...call, method, path }
}
const all = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.keys(item).map((method) => at(method.toUpperCase(), path)),
)
const nameOf = ({ method, path }: Call) => `${method} ${path}`

/** Answered by no Route: files and streams, and what providers call. */
const doors =
  /^\/(webhooks|functions\/(whatsapp-webhook|v1\/handle-call-webhook)|v1\/(stream|audit\/export|payment-webhooks)|\.well-known|healthz|readyz)/

/** What is made before it is listed, listed before it is read, read before it is changed, and gone last. */
const rank = ({ method, path }: Call) =>
  path.startsWith('/v1/operator/') && path.includes('{')
    ? 6
    : method === 'DELETE' || /\/(revoke|leave|cancel|sign-out)$/.test(path)
      ? 5
      : ['POST', 'PUT'].includes(method) && !path.includes('{')
        ? 0
        : method === 'GET'
          ? path.includes('{')
            ? 2
            : 1
          : 3

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema({ ...document, $id: 'api' })
const validators = new Map<string, ValidateFunction>()
function problemOf(call: Call, { status, body }: Answer): string | undefined {
  const response = call.responses[String(status)]
  if (!response) return `answered ${status}, which it does not name: ${JSON.stringify(body)}`
  const schema =
    response.$ref === undefined ? response.content?.['application/json']?.schema : { $ref: '#/components/schemas/Error' }
  if (!schema) return body === undefined ? undefined : 'answered with a body, and promises none'
  const text = JSON.stringify(schema).replaceAll('"#/', '"api#/')
  const validate = validators.get(text) ?? ajv.compile(JSON.parse(text) as object)
  validators.set(text, validate)
  return validate(body) ? undefined : `${status}: ${ajv.errorsText(validate.errors)}`
}

let world: World
let phone: WhapiSimulator
/** What the examples say of the shop's telephone. */
const given = at('POST', '/v1/connections').requestBody?.content['application/json']?.example as {
  accountId: string
  settings: object
  credentials: { token: string }
}
/** Nothing of a test goes to the provider itself: its simulator stands in. */
const elsewhere: Record<string, () => object> = {
  'POST /v1/connections': () => ({ settings: { ...given.settings, baseUrl: phone.url } }),
  'PUT /v1/channels/{accountId}': () => ({ baseUrl: phone.url }),
}
/** Ids of this world for those of the examples. */
const put = new Map<string, string>()
const withIds = (text: string) => [...put].reduce((changed, [theirs, ours]) => changed.replaceAll(theirs, ours), text)

beforeAll(async () => {
  phone = await startWhapiSimulator({ token: given.credentials.token, channelId: given.accountId })
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
      // Nobody answers there: what the examples say is handed to a person.
      MODEL_SIMULATOR_URL: 'http://127.0.0.1:9/v1',
      AGENTS_QUIET_MS: '50',
      ACCOUNTS_CONNECTION_ORIGINS: new URL(phone.url).origin,
      NOTIFIER_WHAPI_GATEWAYS: phone.url,
      ACCOUNTS_DEV_MAIL: 'true',
      TRUST_PROXY: '127.0.0.1/32',
    },
  })
  const founded = await world.call('POST', '/v1/operator/organizations', {
    body: { organizationId: world.organizationId, name: 'Atelier Lumen', ownerEmail: 'owner@example.com' },
  })
  expect(founded.status).toBe(200)
  put.set(exampleOf('/v1/operator/organizations/{organizationId}', 'organizationId'), world.organizationId)
  put.set(exampleOf('/v1/members/{userId}', 'userId'), await somebody('support'))
  await world.settle(30_000)
}, 120_000)
afterAll(async () => {
  await world?.stop()
  await phone?.close()
})

function exampleOf(path: string, name: string): string {
  const [item] = Object.keys(document.paths[path] ?? {})
  const found = at((item ?? '').toUpperCase(), path).parameters?.find((parameter) => parameter.name === name)?.example
  if (found === undefined) throw new Error(`${path} has no example of ${name}.`)
  return found
}

async function somebody(role: string): Promise<string> {
  const userId = randomUUIDv7()
  await world.sql(`insert into accounts.users (user_id, email, display_name, email_verified_at) values ($1, $2, $3, now())`, [
    userId,
    `${userId}@example.com`,
    role,
  ])
  await world.sql(`insert into accounts.members (organization_id, user_id, role, permissions) values ($1, $2, $3, '{}')`, [
    world.organizationId,
    userId,
    role,
  ])
  await world.sql(`insert into accounts.user_organizations (user_id, member_of) values ($1, $2)`, [userId, world.organizationId])
  return userId
}

/** Somebody new for each call, so that what it changes about its caller does not spoil the next. */
async function credentialFor(call: Call): Promise<string | null> {
  const scheme = Object.keys(call.security?.[0] ?? {})[0]
  if (scheme === undefined) return null
  if (scheme === 'operatorKey') return world.key
  const accounts = world.running.services.find(({ name }) => name === 'accounts')?.app as Accounts
  const claims = { organizationId: world.organizationId, authenticatedAt: new Date(), secondFactor: false }
  const userId = await somebody('owner')
  return (await accounts.accessTokens.sign({ ...claims, userId, sessionId: randomUUIDv7() })).accessToken
}

async function send(call: Call): Promise<Answer> {
  const path = call.path.replace(/\{(\w+)\}/g, (_all, name: string) => withIds(exampleOf(call.path, name)))
  const example = call.requestBody?.content['application/json']?.example
  const filled = example === undefined ? undefined : (JSON.parse(withIds(JSON.stringify(example))) as object)
  const body = filled === undefined ? {} : { body: { ...filled, ...elsewhere[nameOf(call)]?.() } }
  const headers = { 'x-forwarded-for': `198.51.${randomInt(256)}.${randomInt(1, 255)}` }
  return world.call(call.method, path, { key: await credentialFor(call), headers, ...body })
}

/** From here on the examples of these things mean what was just made or listed. */
function remember(call: Call, { body }: Answer): void {
  const found = (Array.isArray(body?.items) ? body.items[0] : body) as Record<string, unknown> | undefined
  for (const path of Object.keys(document.paths)) {
    const [, noun, name = ''] = /^\/v1\/([\w-]+)\/\{(\w+)\}/.exec(path) ?? []
    const ours = found?.[name]
    if (noun === call.path.split('/').at(-1) && name !== 'userId' && typeof ours === 'string')
      put.set(exampleOf(path, name), ours)
  }
}

describe('docs/openapi.json', () => {
  test('a webhook sent as its example opens a conversation', async () => {
    const source = await send(at('POST', '/v1/webhook-sources'))
    expect(source.status).toBe(201)
    const { path, header } = source.body as { path: string; header: { name: string; value: string } }
    const delivery = at('POST', '/webhooks/{provider}/{token}')
    const answer = await world.call('POST', path, {
      key: null,
      headers: { [header.name]: header.value },
      body: delivery.requestBody?.content['application/json']?.example,
    })
    expect(answer.status).toBe(200)
    expect(problemOf(delivery, answer)).toBeUndefined()
    await world.settle(30_000)
    const { body } = await world.call('GET', '/v1/conversations')
    expect(body).toMatchObject({ total: 1, items: [{ messageCount: 1, channel: 'whatsapp' }] })
    const { body: customers } = await world.call('GET', '/v1/customers')
    expect(customers).toMatchObject({ total: 1, items: [{ name: 'Léa Fontaine' }] })
  })

  test('every example is understood, and every answer is what it promises', async () => {
    const problems: string[] = []
    const done: string[] = []
    const calls = all.filter(({ path }) => !doors.test(path)).toSorted((a, b) => rank(a) - rank(b))
    for (const call of calls) {
      const answer = await send(call)
      const problem = problemOf(call, answer)
      if (problem !== undefined) problems.push(`${nameOf(call)} ${problem}`)
      if (answer.status === 400 || answer.status >= 500)
        problems.push(`${nameOf(call)} refuses its example: ${JSON.stringify(answer.body)}`)
      if (answer.status < 300) {
        done.push(nameOf(call))
        remember(call, answer)
      }
    }
    expect(problems).toEqual([])
    // Tokens and codes out of mails cannot stand in a document; the rest is carried out.
    expect(done.length).toBeGreaterThan(80)
  }, 120_000)
})
