import { Envelope, type EventType, laneCount } from '../../packages/contracts/src/index.ts'
import { embedSchema, type Json, type JsonObject } from './json-schema.ts'

type Named = Pick<EventType, 'type' | 'version'>

/** A service as the bus sees it. */
export interface BusParticipant {
  name: string
  hears: readonly Named[]
  states: readonly Named[]
}

/**
 * docs/asyncapi.json, AsyncAPI 3.0: a channel per event type, a message per version, an operation per service and event.
 * Throws TypeError when a service hears or states an event that is not declared.
 */
export function asyncapi(events: readonly EventType[], services: readonly BusParticipant[], version: string): JsonObject {
  const schemas: JsonObject = {}
  schemas['Envelope'] = embedSchema(Envelope, 'Envelope', 'input', 'draft-7', schemas)
  const types = [...new Set(events.map((event) => event.type))].toSorted()
  const messages = events.map((event) => [messageName(event), message(event, schemas)] as const)
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Parley events',
      version,
      description:
        'The facts that Parley states on NATS JetStream. Each is a CloudEvents 1.0 envelope; generated from packages/contracts.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/cloudevents+json',
    servers: {
      nats: {
        host: '{host}',
        protocol: 'nats',
        description: 'NATS 2.10 or later with JetStream.',
        variables: { host: { default: 'localhost:4222', description: 'Host and port of NATS_URL.' } },
      },
    },
    channels: Object.fromEntries(
      types.map((type) => [
        type,
        channel(
          type,
          events.filter((event) => event.type === type),
        ),
      ]),
    ),
    operations: Object.fromEntries(services.flatMap((service) => operations(service, events))),
    components: { messages: Object.fromEntries(messages), schemas },
    'x-parley': {
      subject: 'evt.{lane}.{type}.{organization}.{key}',
      lanes: laneCount,
      laneOf: '32-bit FNV-1a of organization/key, its high half folded into the low one: laneOf() in packages/contracts',
      order: 'Events of one organization and key arrive in the order in which they were stated; keys have no order among them.',
      delivery: 'At least once: a reader remembers the ids that it has handled.',
      deduplicationHeader: 'Nats-Msg-Id',
    },
  }
}

const messageName = (event: Named) => `${event.type}.v${event.version}`

function channel(type: string, versions: readonly EventType[]): JsonObject {
  return {
    address: `evt.{lane}.${type}.{organization}.{key}`,
    summary: versions.at(-1)?.summary ?? '',
    servers: [{ $ref: '#/servers/nats' }],
    messages: Object.fromEntries(
      versions.map((event) => [`v${event.version}`, { $ref: `#/components/messages/${messageName(event)}` }]),
    ),
    parameters: {
      lane: {
        description: 'The lane of the organization and the key.',
        enum: Array.from({ length: laneCount }, (_, lane) => String(lane)),
      },
      organization: { description: 'The organization, as one subject token.' },
      key: { description: `What orders these events: ${versions.at(-1)?.keyField}, as one subject token.` },
    },
  }
}

function message(event: EventType, schemas: JsonObject): JsonObject {
  const data = embedSchema(event.schema, messageName(event), 'input', 'draft-7', schemas)
  return {
    name: event.type,
    title: `${event.type} version ${event.version}`,
    summary: event.summary,
    contentType: 'application/cloudevents+json',
    headers: {
      type: 'object',
      properties: { 'Nats-Msg-Id': { type: 'string', description: 'The id under which JetStream drops a second publication.' } },
    },
    payload: {
      allOf: [
        { $ref: '#/components/schemas/Envelope' },
        { type: 'object', properties: { type: { const: event.type }, dataversion: { const: event.version }, data } },
      ],
    },
    'x-parley': { keyField: event.keyField, version: event.version },
  }
}

function operations(service: BusParticipant, events: readonly EventType[]): [string, Json][] {
  const one = (action: 'send' | 'receive', verb: 'states' | 'hears', named: Named): [string, Json] => {
    const event = events.find(({ type, version }) => type === named.type && version === named.version)
    if (!event) throw new TypeError(`${service.name} ${verb} ${messageName(named)}, which packages/contracts does not declare.`)
    return [
      `${service.name}.${verb}.${messageName(event)}`,
      {
        action,
        channel: { $ref: `#/channels/${event.type}` },
        summary: `${service.name} ${verb} it: ${event.summary}`,
        tags: [{ name: service.name }],
        messages: [{ $ref: `#/channels/${event.type}/messages/v${event.version}` }],
      },
    ]
  }
  const states = service.states.map((event) => one('send', 'states', event))
  const hears = service.hears.map((event) => one('receive', 'hears', event))
  return [...new Map([...states, ...hears])].toSorted(([a], [b]) => a.localeCompare(b))
}
