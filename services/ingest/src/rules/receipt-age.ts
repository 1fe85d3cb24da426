/** The least id that a receipt of this moment or a later one can have: a UUIDv7 begins with its milliseconds (RFC 9562, 5.7). */
export function firstIdAt(at: Date): string {
  const hex = at.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7000-8000-000000000000`
}
