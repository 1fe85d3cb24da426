type Values = Record<string, unknown>

/** The fields of `after` that differ, as they were and as they are; null when none does. What an audit entry says of a change. */
export function changedFields(before: Values, after: Values): { before: Values; after: Values } | null {
  const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  if (names.length === 0) return null
  const pick = (values: Values) => Object.fromEntries(names.map((name) => [name, values[name] ?? null]))
  return { before: pick(before), after: pick(after) }
}
