/** The commonest reads of a shop's people: the list they begin with, what was said, and who it is. */
export const reads = ['conversations', 'messages', 'customer'] as const
export type Read = (typeof reads)[number]

/** What a reader is told to do. */
export interface Reading {
  read: Read
  seconds: number
  /** Both sides of a pair read the same rows. */
  seed: number
}
