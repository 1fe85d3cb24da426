import { runCli } from './cli.ts'

// Told, not left to happen: a connection that somebody forgot must not keep a finished command alive.
process.exit(await runCli(process.argv.slice(2)))
