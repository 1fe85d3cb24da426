import { run } from '@parley/runtime'
import { inbox } from './service.ts'

await run(inbox)
