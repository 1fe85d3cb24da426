// Starts both servers in the folder given, reports them on one line and waits to be killed.
import { join } from 'node:path'
import { startNats } from '../src/nats.ts'
import { startPostgres } from '../src/postgres.ts'

const folder = process.argv[2] ?? ''
const postgres = await startPostgres({ dataFolder: join(folder, 'pg') })
const nats = await startNats({ storeFolder: join(folder, 'nats') })
console.log(JSON.stringify({ postgres, nats }))
if (process.argv[3] !== 'exit') setInterval(() => undefined, 60_000)
