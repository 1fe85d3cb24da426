import { eraseEventsJob } from '@parley/runtime'
import type { App } from '../app.ts'
import type { DB } from '../db/types.ts'

export const eraseEvents = eraseEventsJob<App, DB>()
