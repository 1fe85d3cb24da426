export { clip, exchange, parseJson, type Answer, type ExchangeRequest, type NoAnswer } from './exchange.ts'
export type { Dispatcher } from 'undici'
export { AddressRefused, openGuardedAgent, publicLookup } from './guarded-agent.ts'
export { isPublicAddress, refuseAddress, refuseHost } from './public-address.ts'
