/** What a spreadsheet would run as a formula when a cell begins with it: text of strangers (a user agent, a name) must stay text. */
const formula = /^[=+\-@\t\r\n＝＋－＠]/

/** One cell: always quoted, and with an apostrophe before what a spreadsheet would calculate. Nothing is an empty cell. */
export function csvCell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = formula.test(value) ? `'${value}` : value
  return `"${text.replaceAll('"', '""')}"`
}

/** One line with its line end, as RFC 4180 has it. */
export function csvLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}
