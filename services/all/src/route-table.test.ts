import { kit } from '@parley/runtime'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { routeTable } from './route-table.ts'
import type { AnyService } from './services.ts'

const { route } = kit<unknown, unknown>()
const get = (path: string, also: string[] = []) =>
  route({ method: 'GET', path, also, summary: 's', scope: 'agents:read', reply: z.unknown(), run: async () => null })
const service = (name: string, ...routes: unknown[]) => ({ name, routes, handlers: [], pluginPaths: [] }) as unknown as AnyService
const withPlugin = (entry: AnyService, ...pluginPaths: string[]): AnyService => ({ ...entry, pluginPaths })

const serviceOf = routeTable([
  withPlugin(service('inbox', get('/v1/customers/:id', ['GET /rest/v1/visitors']), get('/v1/customers')), '/v1/stream'),
  withPlugin(service('ingest'), '/webhooks'),
  service('agents', get('/v1/customers/:id/turns'), get('/v1/customers/best')),
])

test.each([
  ['/v1/customers', 'inbox'],
  ['/v1/customers/7', 'inbox'],
  ['/rest/v1/visitors', 'inbox'],
  ['/v1/customers/7/turns', 'agents'],
  ['/v1/customers/best', 'agents'],
  ['/v1/customers/best/turns', 'agents'],
  ['/v1/ops/agents/dead-letters', 'agents'],
  ['/webhooks/whapi/token', 'ingest'],
  ['/v1/stream', 'inbox'],
  ['/v1/streams', undefined],
  ['/v1/customers/', undefined],
  ['/v1/customers/7/turns/8', undefined],
  ['/', undefined],
])('%s goes to %s', (path, name) => expect(serviceOf(path)).toBe(name))

test('a path that two services answer is refused', () => {
  expect(() => routeTable([service('inbox', get('/v1/x/:a')), service('agents', get('/v1/x/:b'))])).toThrow(
    'belongs to inbox and to agents',
  )
})
