import { ConfigError, runKeeper } from '@parley/runtime'
import type { Command } from 'commander'
import { once } from 'node:events'
import type { Context } from '../cli.ts'
import { failure } from '../failure.ts'
import { allServices } from '../services.ts'

/** What a deployment runs beside its services: the one login that may manage the stream. `start` brings its own. */
export function addKeep(parley: Command, context: Context): void {
  parley
    .command('keep')
    .description('Keep the stream for services whose logins may not: make it, make it anew when it is lost, erase from it.')
    .addHelpText(
      'after',
      '\nReads NATS_URL, NATS_USER (keeper) and NATS_PASSWORD, and what every service reads of NATS and ADMIN_PORT.',
    )
    .action(async () => {
      const stopping = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
      try {
        const keeper = await runKeeper(allServices, context.environment)
        context.out(`The stream is kept; health and metrics at ${keeper.adminUrl}.`)
        await stopping
        await keeper.stop()
      } catch (error) {
        if (error instanceof ConfigError) throw failure(`The keeper cannot start. ${error.message}`)
        throw error
      }
    })
}
