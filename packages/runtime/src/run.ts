import { start } from './start.ts'
import { relayRole } from './schema.ts'
import { ConfigError } from './config.ts'
import type { Service } from './types.ts'

/**
 * One service as its own process, configured by the environment only: DATABASE_URL (the service's role), RELAY_DATABASE_URL (the
 * relay's role), NATS_URL and what `ProcessConfig` and the service list. SIGTERM and SIGINT stop it in good order; exit code 1
 * when it could not start, 2 for a wrong configuration.
 */
export async function run<App, DB, Config>(service: Service<App, DB, Config>): Promise<void> {
  const environment = process.env
  const missing = ['DATABASE_URL', 'RELAY_DATABASE_URL'].filter((name) => !environment[name])
  try {
    if (missing.length > 0)
      throw new ConfigError(`The configuration has problems:\n${missing.map((name) => `  ${name}: is needed`).join('\n')}`)
    const running = await start({
      services: [service as unknown as Service<never, never, never>],
      environment,
      databaseUrl: (role) => (role === relayRole ? environment['RELAY_DATABASE_URL'] : environment['DATABASE_URL']) as string,
    })
    let stopping = false
    const stop = (): void => {
      // A second signal is somebody who does not want to wait.
      if (stopping) process.exit(130)
      stopping = true
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error)
          process.exit(1)
        },
      )
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.send?.({ ready: true, url: running.url, adminUrl: running.adminUrl })
  } catch (error) {
    if (error instanceof ConfigError) {
      console.error(`${service.name} cannot start. ${error.message}`)
      process.exit(2)
    }
    console.error(error)
    process.exit(1)
  }
}
