import type { StreamedEvent } from '../db/outbox.ts'
import { type Cursor, isAfter } from './cursor.ts'

/** Reads of one organization's outbox that a feed needs. */
export interface FeedSource {
  end(): Promise<Cursor>
  after(cursor: Cursor, limit: number): Promise<StreamedEvent[]>
}

/** Where a reader goes on; `forgotten`: at a place whose events are not kept any more. */
export type From = Cursor | 'forgotten' | undefined

export interface Listener {
  /** It hears what comes after this place: told at once, so that who hears nothing before the connection breaks can come back to it. */
  begins(at: Cursor): void
  /** Takes one event; false ends the subscription (the reader is too slow or gone). */
  take(event: StreamedEvent): boolean
  /** The events since the asked place are too many, or forgotten: the reader must load anew. */
  reset(at: Cursor): void
  /** The outbox cannot be read now; the subscription goes on. */
  failed(error: unknown): void
}

const batch = 200
/** More than this is not a hiccup of the connection: loading the lists anew is cheaper than replaying. */
const maxCatchUp = 2_000

/**
 * The events of one organization, read once however many listen. Wake it after commits and from time to time: between two
 * reads it is idle.
 */
export class Feed {
  readonly #source: FeedSource
  readonly #listeners = new Set<{ listener: Listener; cursor: Cursor; waiting: StreamedEvent[] | undefined }>()
  #cursor: Cursor | undefined
  #reading: Promise<void> | undefined
  #again = false

  constructor(source: FeedSource) {
    this.#source = source
  }

  get size(): number {
    return this.#listeners.size
  }

  /** Listens from a place on, or from now. Resolves when it has caught up; the returned function ends it. */
  async subscribe(from: From, listener: Listener): Promise<() => void> {
    this.#cursor ??= await this.#source.end()
    const subscription = { listener, cursor: this.#cursor, waiting: [] as StreamedEvent[] | undefined }
    // Live events wait from here on, so that what is read meanwhile and what arrives meet without a gap.
    this.#listeners.add(subscription)
    const end = () => void this.#listeners.delete(subscription)
    try {
      if (from === undefined) listener.begins(this.#cursor)
      else subscription.cursor = await this.#catchUp(from, listener)
    } catch (error) {
      end()
      throw error
    }
    const { waiting } = subscription
    subscription.waiting = undefined
    for (const event of waiting ?? []) this.#hand(subscription, event)
    return end
  }

  async #catchUp(from: Exclude<From, undefined>, listener: Listener): Promise<Cursor> {
    const end = await this.#source.end()
    // A place that lies ahead is one of a database that has been set back since: nothing would ever come after it.
    if (from === 'forgotten' || isAfter(from, end)) {
      listener.reset(end)
      return end
    }
    let cursor = from
    for (let told = 0; told < maxCatchUp; told += batch) {
      const events = await this.#source.after(cursor, batch)
      for (const event of events) {
        if (!listener.take(event)) return event.cursor
        cursor = event.cursor
      }
      if (events.length < batch) return cursor
    }
    cursor = await this.#source.end()
    listener.reset(cursor)
    return cursor
  }

  /** Reads what is new and hands it out; wakes during a read lead to exactly one more. */
  wake(): Promise<void> {
    this.#again = true
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    try {
      while (this.#again && this.#cursor !== undefined && this.#listeners.size > 0) {
        this.#again = false
        const events = await this.#source.after(this.#cursor, batch)
        for (const event of events) {
          this.#cursor = event.cursor
          for (const subscription of this.#listeners) this.#hand(subscription, event)
        }
        if (events.length === batch) this.#again = true
      }
    } catch (error) {
      for (const { listener } of this.#listeners) listener.failed(error)
    }
  }

  #hand(subscription: { listener: Listener; cursor: Cursor; waiting: StreamedEvent[] | undefined }, event: StreamedEvent): void {
    if (subscription.waiting) {
      if (subscription.waiting.length < maxCatchUp) subscription.waiting.push(event)
      else this.#drop(subscription, event.cursor)
      return
    }
    if (!isAfter(event.cursor, subscription.cursor)) return
    subscription.cursor = event.cursor
    if (!subscription.listener.take(event)) this.#listeners.delete(subscription)
  }

  /** Too much came while it caught up: it starts anew from here. */
  #drop(subscription: { listener: Listener; cursor: Cursor; waiting: StreamedEvent[] | undefined }, at: Cursor): void {
    subscription.waiting = []
    subscription.cursor = at
    subscription.listener.reset(at)
  }
}
