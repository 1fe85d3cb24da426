import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { snapshotOf } from '../../packages/contracts/src/compatibility.ts'
import { allEvents } from '../../packages/contracts/src/index.ts'
import { identityEvents } from '../../packages/runtime/src/identity/handlers.ts'
import { asyncapi } from './asyncapi.ts'
import { printJson } from './json-schema.ts'
import { kubernetes } from './k8s.ts'
import { natsFiles } from './nats.ts'
import { apiDocument } from './openapi.ts'
import { findServices } from './services.ts'

/** A committed file that is made out of the source: its path from the root and what it should hold. */
export interface Artifact {
  path: string
  text: string
}

export const snapshotPath = 'packages/contracts/contracts.snapshot.json'

/** Everything that `npm run generate` writes. */
export async function artifacts(root: string): Promise<Artifact[]> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
  const events = allEvents()
  if (events.length === 0) throw new Error('packages/contracts declares no event: nothing to generate from.')
  const services = await findServices(root)
  const participants = [
    ...services.map(({ name, handlers, states }) => ({ name, hears: handlers.map(({ event }) => event), states })),
    // Once, not once per service: nobody writes these handlers, and a list that is the same everywhere says nothing.
    { name: 'every-service', hears: identityEvents, states: [] },
  ]
  return [
    { path: snapshotPath, text: printJson(snapshotOf(events)) },
    { path: 'docs/asyncapi.json', text: printJson(asyncapi(events, participants, version)) },
    { path: 'docs/openapi.json', text: printJson(apiDocument(services, version)) },
    ...kubernetes(services, version),
    ...natsFiles(services),
  ]
}
