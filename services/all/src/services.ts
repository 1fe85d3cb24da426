import { accounts } from '@parley/accounts'
import { agents } from '@parley/agents'
import { inbox } from '@parley/inbox'
import { ingest } from '@parley/ingest'
import { notifier } from '@parley/notifier'
import type { Service } from '@parley/runtime'

export type AnyService = Service<never, never, never>

/** Every service, in the order of the main job. */
export const allServices: readonly AnyService[] = [accounts, ingest, inbox, agents, notifier] as unknown as readonly AnyService[]
