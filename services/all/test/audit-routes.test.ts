import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { allServices } from '../src/index.ts'
import { readRouteSources } from './route-sources.ts'

/**
 * Generated from the routes, so that a new one cannot be forgotten: what changes something tells the audit log, what answers with a
 * customer's data is noted when it is read, or it stands here with the reason why not.
 */
const mailWish =
  'Keeps a wish for a mail, the same for known and unknown addresses; what the link in the mail does is told when it is followed.'
const changesNothing: Readonly<Record<string, string>> = {
  'POST /v1/auth/sign-up': mailWish,
  'POST /v1/auth/magic-link': mailWish,
  'POST /v1/auth/password-reset': mailWish,
  'POST /v1/me/email': mailWish,
  'POST /v1/invitations/lookup': 'It reads; it is a POST because the token must not stand in an address.',
}

const showsNoCustomer: Readonly<Record<string, string>> = {}

const sources = allServices.flatMap((service) =>
  readRouteSources(join(import.meta.dirname, '..', '..', service.name, 'src')).map((source) => ({
    ...source,
    service: service.name,
  })),
)
const routes = allServices.flatMap((service) => service.routes.map((route) => ({ ...route, service: service.name })))
const nameOf = (route: { method: string; path: string }) => `${route.method} ${route.path}`

test('the source of every route was found', () => {
  const found = new Set(sources.map(nameOf))
  expect(routes.map(nameOf).filter((name) => !found.has(name))).toEqual([])
  expect(routes.length).toBeGreaterThan(20)
})

describe('a route that changes something', () => {
  test.each(routes.filter((route) => route.method !== 'GET').map(nameOf))('%s tells the audit log', (name) => {
    const source = sources.find((entry) => nameOf(entry) === name)
    const audits = /\baudit\(/.test(source?.reached ?? '')
    if (name in changesNothing) expect(audits, `${name} audits: take it off the list`).toBe(false)
    else expect(audits, `${name} reaches no audit(...), and is not on the list of those that need none`).toBe(true)
  })
})

/** Fields that say who a customer is, or what they said. */
const aboutCustomers = new Set([
  'customerId',
  'customerName',
  'chatId',
  'chatName',
  'externalId',
  'identities',
  'content',
  'senderName',
  'payload',
  'facts',
  'body',
  'sentiment',
])
/** Whoever needs one of these permissions is about to see customers, whatever the fields are called. */
const scopesOfCustomers = new Set(['customers:read', 'conversations:read', 'messages:read', 'consents:read'])

function fieldsOf(schema: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(schema)) for (const item of schema) fieldsOf(item, found)
  else if (schema !== null && typeof schema === 'object') {
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties') for (const field of Object.keys(value as object)) found.add(field)
      fieldsOf(value, found)
    }
  }
  return found
}

describe('a route that answers with a customer’s data', () => {
  const held = routes
    .filter((route) => route.method === 'GET')
    .map((route) => {
      const schema = z.toJSONSchema(route.reply, { io: 'output', unrepresentable: 'any' })
      return { route, fields: [...fieldsOf(schema)].filter((field) => aboutCustomers.has(field)) }
    })
    .filter(({ route, fields }) => fields.length > 0 || scopesOfCustomers.has(route.scope))

  test('is found by the fields of its answer', () => {
    expect(held.map(({ route }) => nameOf(route))).toEqual(
      expect.arrayContaining([
        'GET /v1/customers/:id',
        'GET /v1/conversations/:id/messages',
        'GET /v1/receipts/:id',
        'GET /v1/turns',
        'GET /v1/turns/:id',
      ]),
    )
  })

  test.each(held.map(({ route, fields }) => ({ name: nameOf(route), personalData: route.personalData, fields })))(
    '$name is noted when it is read',
    ({ name, personalData, fields }) => {
      if (name in showsNoCustomer) expect(personalData, `${name} is noted: take it off the list`).toBeNull()
      else expect(personalData, `${name} shows ${fields.join(', ') || 'customers, as its permission says'}`).not.toBeNull()
    },
  )
})

test('the lists name only routes that there are', () => {
  const known = new Set(routes.map(nameOf))
  expect([...Object.keys(changesNothing), ...Object.keys(showsNoCustomer)].filter((name) => !known.has(name))).toEqual([])
})
