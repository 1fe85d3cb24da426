import type { Bus } from './bus.ts'
import { kit, type Tx } from './types.ts'

/** What the operator's routes of a service reach. */
interface OpsApp {
  bus: Bus
  /** Tells every replica that a lane is free. */
  laneGivenUp(): void
  /** Tries the events that wait for another try now. */
  retryNow(): void
}

/** The tables that every service has are in no service's list: statements about them are written out. */
type Tables = Record<string, never>
export type OpsTx = Tx<Tables>

export const { route } = kit<OpsApp, Tables>()

export const opsPath = (serviceName: string) => `/v1/ops/${serviceName}`
