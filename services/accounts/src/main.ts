import { run } from '@parley/runtime'
import { accounts } from './service.ts'

await run(accounts)
