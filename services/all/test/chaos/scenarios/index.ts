import type { Scenario } from '../scenario.ts'
import { accountsAway } from './accounts.ts'
import { brokerFreezes, brokerIsKilled, brokerLosesItsStore, streamIsDeleted } from './broker.ts'
import { clocksDisagree } from './clocks.ts'
import {
  anythingDiesAnytime,
  everyServiceDiesEverywhere,
  ingestDiesAfterCommit,
  ingestDiesBeforeCommit,
  relayDiesBeforeMarking,
} from './crashes.ts'
import { connectionsRunOut, databaseFreezes, databaseRestarts } from './database.ts'
import { accountsIsLocked } from './locks.ts'
import { memoryIsShort } from './memory.ts'
import { oneOrganizationIsHostile } from './neighbours.ts'
import { networkParts, providersFail } from './network.ts'
import { powerIsCut } from './power.ts'
import { rollingRestart } from './restarts.ts'
import { albumOfTen, poisonHoldsUpNobodyElse, reportsComeInAnyOrder, sameWebhookManyTimes } from './senders.ts'

/** In the order of reliability.md §6. */
export const scenarios: readonly Scenario[] = [
  ingestDiesAfterCommit,
  ingestDiesBeforeCommit,
  everyServiceDiesEverywhere,
  anythingDiesAnytime,
  relayDiesBeforeMarking,
  brokerIsKilled,
  powerIsCut,
  brokerLosesItsStore,
  brokerFreezes,
  databaseRestarts,
  databaseFreezes,
  connectionsRunOut,
  accountsIsLocked,
  networkParts,
  providersFail,
  sameWebhookManyTimes,
  reportsComeInAnyOrder,
  albumOfTen,
  poisonHoldsUpNobodyElse,
  clocksDisagree,
  streamIsDeleted,
  memoryIsShort,
  rollingRestart,
  accountsAway,
  oneOrganizationIsHostile,
]
