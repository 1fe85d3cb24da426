import { run } from '@parley/runtime'
import { ingest } from './service.ts'

await run(ingest)
