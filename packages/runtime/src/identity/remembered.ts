/** Answers kept for a moment, so that a caller's every request does not ask for the same again. */
export interface Remembered<Value> {
  /** The answer of the last `ttlMs`, or `load`'s; those who ask at once share one load. Rejections are not kept. */
  get(key: string, load: () => Promise<Value>): Promise<Value>
  /** It is about to be another: for the next `ttlMs` nothing about it is kept. */
  changed(key: string): void
  size(): number
}

/** Holds at most `most` answers: all live equally long, so the first that came is the first to go. */
export function remember<Value>({ most, ttlMs, now = () => performance.now() }: { most: number; ttlMs: number; now?(): number }) {
  const known = new Map<string, { value: Value; until: number }>()
  const underWay = new Map<string, Promise<Value>>()
  /** The change may not be committed yet: what is read now may be what was before it. */
  const unsettled = new Map<string, number>()

  function isUnsettled(key: string): boolean {
    const until = unsettled.get(key)
    if (until === undefined) return false
    if (until > now()) return true
    unsettled.delete(key)
    return false
  }

  function keep(key: string, value: Value): void {
    known.delete(key)
    if (known.size >= most) known.delete(known.keys().next().value as string)
    known.set(key, { value, until: now() + ttlMs })
  }

  async function fresh(key: string, load: () => Promise<Value>): Promise<Value> {
    if (isUnsettled(key)) return load()
    const loading = load()
    underWay.set(key, loading)
    try {
      const value = await loading
      if (underWay.get(key) === loading) keep(key, value)
      return value
    } finally {
      if (underWay.get(key) === loading) underWay.delete(key)
    }
  }

  const remembered: Remembered<Value> = {
    async get(key, load) {
      const entry = known.get(key)
      if (entry && entry.until > now()) return entry.value
      return underWay.get(key) ?? fresh(key, load)
    },
    changed(key) {
      known.delete(key)
      // Whoever loads now shares it with nobody who asks from here on, and what it finds is not kept.
      underWay.delete(key)
      for (const [old, until] of unsettled) {
        if (until > now() && unsettled.size < most) break
        unsettled.delete(old)
      }
      unsettled.delete(key)
      unsettled.set(key, now() + ttlMs)
    },
    size: () => known.size,
  }
  return remembered
}
