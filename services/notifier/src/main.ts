import { run } from '@parley/runtime'
import { notifier } from './service.ts'

await run(notifier)
