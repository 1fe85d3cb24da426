import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { kit } from '../types.ts'
import { assertNamed } from './named-refusals.ts'

const { route } = kit<never, never>()
const run = async () => ({})
const one = route({
  method: 'GET',
  path: '/v1/returns/:id',
  also: ['GET /rest/v1/returns/:id'],
  summary: 'One return.',
  scope: 'ops:read',
  refuses: { not_found: 'No return with that id.' },
  reply: z.object({}),
  run,
})
const latest = route({
  method: 'GET',
  path: '/v1/returns/latest',
  summary: 'The latest.',
  scope: 'public',
  reply: z.object({}),
  run,
})
const check = (method: string, path: string, code?: string) => () => assertNamed([one, latest], method, path, code)

describe('a refusal that a test meets', () => {
  test('is one that its route names, or that may come to every call', () => {
    expect(check('GET', '/v1/returns/7?x=1', 'not_found')).not.toThrow()
    expect(check('GET', '/v1/returns/7', 'unauthenticated')).not.toThrow()
    expect(check('GET', '/v1/returns/7')).not.toThrow()
    expect(check('GET', '/v1/returns/7', 'conflict')).toThrow(
      "GET /v1/returns/:id was refused with 'conflict', which it does not name: add it to its 'refuses'.",
    )
    expect(check('GET', '/rest/v1/returns/7', 'gone')).toThrow("refused with 'gone'")
  })

  test('is held against the route that answers, and against none where there is none', () => {
    expect(check('GET', '/v1/returns/latest', 'not_found')).toThrow('GET /v1/returns/latest was refused')
    expect(check('GET', '/v1/returns/latest', 'unauthenticated')).toThrow("refused with 'unauthenticated'")
    expect(check('PUT', '/v1/returns/7', 'method_not_allowed')).not.toThrow()
    expect(check('GET', '/v1/nothing', 'not_found')).not.toThrow()
  })
})
