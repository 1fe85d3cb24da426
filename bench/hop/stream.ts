import { jetstream, jetstreamManager, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'
import { subjectOf, toEnvelope } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { questionAsked } from './service.ts'

export interface FilledStream {
  name: string
  /** Messages in the stream now. */
  count(): Promise<number>
  remove(): Promise<void>
}

const publishing = 256

/** Makes a stream with the settings of the runtime's own and puts `events` questions of many topics into it. */
export async function fillStream(
  natsUrl: string,
  root: string,
  wanted: { events: number; organizations: number; topics: number },
): Promise<FilledStream> {
  const nc = await connect({ servers: natsUrl, name: 'bench-fill' })
  const js = jetstream(nc)
  const jsm = await jetstreamManager(nc)
  const name = root.toUpperCase()
  await jsm.streams.add({
    name,
    subjects: [`${root}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_age: nanos(72 * 3600 * 1000),
    max_bytes: 4 * 1024 ** 3,
    duplicate_window: nanos(10 * 60 * 1000),
    allow_direct: true,
  })
  const organizations = Array.from({ length: wanted.organizations }, () => randomUUIDv7())
  let next = 0
  const publisher = async () => {
    for (let number = next++; number < wanted.events; number = next++) {
      const organizationId = organizations[number % organizations.length] as string
      const topic = `topic-${number % wanted.topics}`
      const id = randomUUIDv7()
      const envelope = toEnvelope({
        id,
        type: questionAsked.type,
        version: questionAsked.version,
        source: 'bench',
        time: new Date().toISOString(),
        key: topic,
        organizationId,
        causationId: undefined,
        correlationId: randomUUIDv7(),
        traceparent: undefined,
        data: { topic, number, text: 'Where is my order? It was promised for Tuesday and I have heard nothing since.' },
      })
      await js.publish(subjectOf(root, questionAsked.type, organizationId, topic), JSON.stringify(envelope), { msgID: id })
    }
  }
  await Promise.all(Array.from({ length: publishing }, publisher))
  return {
    name,
    count: async () => (await jsm.streams.info(name)).state.messages,
    async remove() {
      await jsm.streams.delete(name)
      await nc.close()
    },
  }
}
