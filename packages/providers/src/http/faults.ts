/**
 * What a simulator can do wrong. `acts` says whether the work is done although the caller does not hear of it in good order:
 * that is the case that makes an outcome unknown.
 */
export type Fault =
  | { kind: 'status'; status: number; acts?: boolean; headers?: Record<string, string>; body?: unknown }
  | { kind: 'delay'; beforeMs?: number; afterMs?: number }
  | { kind: 'drop'; acts: boolean }
  | { kind: 'half_json' }
  | { kind: 'hang_after_headers' }
  | { kind: 'oversize'; bytes: number }

export interface Call {
  method: string
  path: string
}

export interface Faults {
  /** The next `times` matching calls go wrong, then all is well again. Several orders queue up. */
  next(fault: Fault, times?: number, matches?: (call: Call) => boolean): void
  /** Every matching call goes wrong until `clear`. */
  always(fault: Fault, matches?: (call: Call) => boolean): void
  clear(): void
}

/** A switchboard of faults, changeable while a simulator runs. `byDefault` picks the calls that an order without `matches` means. */
export function createFaults(byDefault: (call: Call) => boolean): Faults & { take(call: Call): Fault | undefined } {
  type Order = { fault: Fault; left: number; matches: (call: Call) => boolean }
  let orders: Order[] = []
  return {
    next(fault, times = 1, matches = byDefault) {
      orders.push({ fault, left: times, matches })
    },
    always(fault, matches = byDefault) {
      orders.push({ fault, left: Number.POSITIVE_INFINITY, matches })
    },
    clear() {
      orders = []
    },
    take(call) {
      const order = orders.find((candidate) => candidate.left > 0 && candidate.matches(call))
      if (!order) return undefined
      order.left -= 1
      if (order.left <= 0) orders = orders.filter((candidate) => candidate.left > 0)
      return order.fault
    },
  }
}
