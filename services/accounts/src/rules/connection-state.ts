import type { ConnectionStatus } from '@parley/contracts'

/** What a try of the credentials gave. `unreachable`: nothing is known of them. */
export type TestOutcome = 'ok' | 'refused' | 'unreachable'

/** Of one organization: a new data key seals them all anew in one transaction. */
export const mostConnections = 100

/** Refusals in a row after which the credentials count as broken without asking the provider ourselves. */
const mostRefusals = 3

const retryMinutes = [1, 5, 15, 60, 240, 720] as const

export interface ConnectionState {
  status: ConnectionStatus
  errorCount: number
  unreachedTests: number
}

/**
 * What a try of the credentials makes of a connection. One that somebody switched off stays off. A try because of a report does not end
 * the count: when services are refused what the provider takes from us, the third refusal has to end it.
 */
export function afterTest(state: ConnectionState, outcome: TestOutcome, reported = false): ConnectionState {
  const settled = (status: ConnectionStatus) => (state.status === 'inactive' ? 'inactive' : status)
  switch (outcome) {
    case 'ok':
      return { status: settled('active'), errorCount: reported ? state.errorCount : 0, unreachedTests: 0 }
    case 'refused':
      return { status: settled('error'), errorCount: state.errorCount + 1, unreachedTests: 0 }
    case 'unreachable':
      // A provider that is away says nothing about credentials that worked.
      return { ...state, errorCount: state.errorCount + 1, unreachedTests: state.unreachedTests + 1 }
  }
}

/**
 * True when a try has proved credentials that a service was refused with: services that wait for others are told to go on with them.
 */
export function provesRefused(state: ConnectionState, outcome: TestOutcome): boolean {
  return outcome === 'ok' && state.errorCount > 0 && (state.status === 'active' || state.status === 'error')
}

/** When to try again what could not be reached; null: only when somebody asks. */
export function nextTestAt(state: ConnectionState, now: Date): Date | null {
  if (state.status !== 'pending') return null
  const minutes = retryMinutes[state.unreachedTests - 1]
  return minutes === undefined ? null : new Date(now.getTime() + minutes * 60_000)
}

export type ReportOutcome = 'ok' | 'refused' | 'throttled' | 'failed'

/**
 * What a service's report makes of a connection. A single refusal may be the provider's hiccup, so it is not believed: `test` says that
 * we should ask the provider ourselves. The third in a row needs no proof.
 */
export function afterReport(state: ConnectionState, outcome: ReportOutcome): { state: ConnectionState; test: boolean } {
  const isOff = state.status === 'inactive' || state.status === 'removed'
  if (outcome === 'throttled') return { state, test: false }
  if (outcome === 'ok') {
    return { state: isOff ? state : { status: 'active', errorCount: 0, unreachedTests: 0 }, test: false }
  }
  const errorCount = state.errorCount + 1
  if (outcome === 'failed' || isOff) return { state: { ...state, errorCount }, test: false }
  const isBroken = errorCount >= mostRefusals || state.status === 'error'
  return { state: { ...state, errorCount, status: isBroken ? 'error' : state.status }, test: !isBroken }
}
