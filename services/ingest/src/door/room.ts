import { totalmem } from 'node:os'

/** What may be under way at once; beyond it, senders are asked to come back. */
interface Limits {
  /** Of bodies that come in, are judged or are stored. */
  bytesInFlight: number
  /** In line for a commit. */
  deliveriesWaiting: number
}

const mebibyte = 1024 ** 2
/** Of a body, while it is judged and stored: bytes, text, values, events, statement. */
const copies = 4
/** That a delivery in line takes, with its request and its connection. */
const bytesPerDelivery = 30_000

/** For a process that may take so much memory: bodies get an eighth of it, copies included, and those in line a quarter. */
export function limitsFor(bytes: number): Limits {
  return {
    bytesInFlight: Math.min(256 * mebibyte, Math.max(8 * mebibyte, bytes / 8 / copies)),
    deliveriesWaiting: Math.min(10_000, Math.floor(bytes / 4 / bytesPerDelivery)),
  }
}

/** Memory that this process may take: its container's limit, or the machine's. */
export function memoryBytes(): number {
  const constrained = process.constrainedMemory()
  return Math.min(constrained > 0 ? constrained : Number.POSITIVE_INFINITY, totalmem())
}

/** The length that a request announces; undefined when it does not say. */
export function announcedBytes(headers: Readonly<Record<string, string | string[] | undefined>>): number | undefined {
  const length = headers['content-length']
  return typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

/** Whose body it is: the source, and the organization over all its sources. */
interface Holder {
  organizationId: string
  id: string
}

/** Where one body is while it comes in and until its delivery is answered. */
export interface BodyPlace {
  /** Room for bytes that have arrived; false when there is none for them. */
  take(bytes: number): boolean
  /** Gives all of it back. */
  leave(): void
}

export interface Room {
  /** A place that holds nothing yet: what is announced and does not come keeps nobody out. */
  enter(holder: Holder): BodyPlace
}

/**
 * Room for so many bytes of bodies, of which a source holds a quarter at most and an organization half: who fills theirs is alone in
 * front of a shut door. Beside it is room for one body of more than `largeFromBytes`: a recording comes through on a busy day too.
 */
export function createRoom(bytesInFlight: number, largeFromBytes: number): Room {
  const held = new Map<string, number>()
  let taken = 0
  let isLargeIn = false

  const heldBy = (key: string) => held.get(key) ?? 0
  const change = ({ organizationId, id }: Holder, bytes: number) => {
    taken += bytes
    for (const key of [organizationId, id]) {
      const left = heldBy(key) + bytes
      if (left === 0) held.delete(key)
      else held.set(key, left)
    }
  }
  const fits = ({ organizationId, id }: Holder, bytes: number) =>
    taken + bytes <= bytesInFlight &&
    heldBy(id) + bytes <= bytesInFlight / 4 &&
    heldBy(organizationId) + bytes <= bytesInFlight / 2

  return {
    enter(holder) {
      let mine = 0
      let isLarge = false
      return {
        take(bytes) {
          if (isLarge) return true
          if (fits(holder, bytes)) {
            mine += bytes
            change(holder, bytes)
            return true
          }
          if (mine + bytes <= largeFromBytes || isLargeIn) return false
          change(holder, -mine)
          mine = 0
          isLarge = isLargeIn = true
          return true
        },
        leave() {
          change(holder, -mine)
          mine = 0
          if (isLarge) isLarge = isLargeIn = false
        },
      }
    },
  }
}
