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

export interface Room {
  /** Lets a body of that size in, and gives what to call when it is gone; undefined when there is no room. */
  enter(bytes: number): (() => void) | undefined
}

/** Room for so many bytes of bodies, and for one beside them that is larger than all of it: a recording comes through on a busy day too. */
export function createRoom(bytesInFlight: number): Room {
  let taken = 0
  let isOversizeIn = false
  return {
    enter(bytes) {
      if (bytes > bytesInFlight) {
        if (isOversizeIn) return undefined
        isOversizeIn = true
        return () => {
          isOversizeIn = false
        }
      }
      if (taken + bytes > bytesInFlight) return undefined
      taken += bytes
      return () => {
        taken -= bytes
      }
    },
  }
}
