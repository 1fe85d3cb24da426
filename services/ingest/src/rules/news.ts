/** What was last told of a subject; `value` is empty when nothing was. */
export interface LastTold {
  value: string
  receiptId: string
  toldAt: Date
}

/** Whether a state is to be told, given what was last told of its subject. */
export function isNews(state: { value: string; againAfterMs: number | null }, at: Date, last: LastTold): boolean {
  if (state.value !== last.value) return true
  return state.againAfterMs !== null && at.getTime() - last.toldAt.getTime() > state.againAfterMs
}
