import type { AddressInfo } from 'node:net'
import { closeServer, openAdmin } from './admin.ts'
import { type BusService, keeperName } from './bus-permissions.ts'
import { loginOf } from './bus-login.ts'
import { ConfigError, readConfig } from './config.ts'
import { type Keeper, startKeeper } from './keeper.ts'
import { type Logger, openLog } from './log.ts'
import { ProcessConfig } from './process-config.ts'
import { openTelemetry } from './telemetry.ts'

/** Starts the keeper as the environment says. Rejects when the configuration is wrong, or the broker stays away for a minute. */
export function openKeeper(
  services: readonly BusService[],
  environment: Record<string, string | undefined>,
  log: Logger,
): Promise<Keeper> {
  const config = readConfig(ProcessConfig, environment)
  return startKeeper({
    services,
    login: loginOf(config, keeperName),
    root: config.BUS_ROOT,
    replicas: config.NATS_REPLICAS,
    maxBytes: config.NATS_MAX_BYTES,
    log,
  })
}

/** A keeper of its own process, with metrics and health on the admin port. Resolves when it is ready; stop it with what it resolves to. */
export async function runKeeper(
  services: readonly BusService[],
  environment: Record<string, string | undefined>,
): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const config = readConfig(ProcessConfig, environment)
  // Without a login of its own it would be nobody's keeper: whoever may do everything looks after the stream itself.
  if (config.NATS_PASSWORD === undefined && config.NATS_CREDENTIALS_FILE === undefined)
    throw new ConfigError('The configuration has a problem:\n  NATS_PASSWORD: is needed, or NATS_CREDENTIALS_FILE')
  const log = openLog({ name: keeperName, level: config.LOG_LEVEL })
  const telemetry = openTelemetry({
    serviceName: keeperName,
    otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleRatio: config.OTEL_TRACES_SAMPLER_ARG,
  })
  let keeper: Keeper | undefined
  const admin = await openAdmin(config, telemetry, async () => {
    const broker = keeper?.connected() ?? false
    return { ready: broker, checks: { broker } }
  })
  try {
    keeper = await openKeeper(services, environment, log)
  } catch (error) {
    await closeServer(admin)
    throw error
  }
  log.info({ services: services.map((service) => service.name) }, 'ready')
  const { stop } = keeper
  return {
    adminUrl: `http://${config.ADMIN_HOST}:${(admin.address() as AddressInfo).port}`,
    async stop() {
      await stop()
      await closeServer(admin)
    },
  }
}
