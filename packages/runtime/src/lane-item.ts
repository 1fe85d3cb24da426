import { ContractError, type Event, fromEnvelope, laneOf, subjectOf } from '@parley/contracts'
import type { LaneMessage } from './bus-lane.ts'
import type { HeldLane } from './leases.ts'

/** One message on its way through a lane: the event it carries, or why it is none. */
export interface LaneItem {
  lane: HeldLane
  message: LaneMessage
  envelope: string
  event: Event | undefined
  problem: Error | undefined
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Never throws: what the bus brings is not trusted, and a message that is no event must not hold its lane up. */
export function readItem(lane: HeldLane, message: LaneMessage): LaneItem {
  try {
    const envelope = decoder.decode(message.data)
    const event = fromEnvelope(JSON.parse(envelope))
    // What claims to be of an organization and key must have come on their lane (reliability.md A31).
    if (laneOf(event.organizationId, event.key) !== lane.lane)
      throw new ContractError(`${event.type} came on a lane that is not its own.`)
    // The broker lets a service publish under its own types only: words under one that say another were forged (A30).
    const { subject } = message
    if (subject !== subjectOf(subject.slice(0, subject.indexOf('.')), event.type, event.organizationId, event.key))
      throw new ContractError(`${event.type} came under a subject that is not its own.`)
    return { lane, message, envelope, event, problem: undefined }
  } catch (error) {
    return { lane, message, envelope: Buffer.from(message.data).toString(), event: undefined, problem: error as Error }
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What can be read of a message that broke its contract. */
export function looseEnvelope(text: string): {
  id: string
  type: string
  key: string
  version: number | undefined
  organizationId: string | undefined
} {
  const wire = parseLoosely(text)
  const word = (field: string) => (typeof wire[field] === 'string' ? wire[field].slice(0, 200).replaceAll('\0', '') : '')
  const organizationId = word('organizationid')
  return {
    id: word('id'),
    type: word('type'),
    key: word('subject'),
    version: typeof wire['dataversion'] === 'number' ? wire['dataversion'] : undefined,
    organizationId: uuid.test(organizationId) ? organizationId : undefined,
  }
}

function parseLoosely(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // Not JSON: there is nothing to read of it, which is what the empty record says.
    return {}
  }
}
