import { run } from '@parley/runtime'
import { agents } from './service.ts'

await run(agents)
