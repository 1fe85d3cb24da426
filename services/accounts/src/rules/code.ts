/** Where each script's ten decimal digits begin that phones show codes in: Arabic, Persian, Devanagari, Bengali, full-width. */
const zeros = [0x0660, 0x06f0, 0x0966, 0x09e6, 0xff10]

/**
 * A code as it is compared: apps show `123 456`, people write `123-456`, and a keyboard may give digits of its own script. Letters stay
 * as they are: recovery codes have a spelling of their own.
 */
export function tidyCode(text: string): string {
  return text
    .replace(/\p{Nd}/gu, (digit) => {
      const code = digit.codePointAt(0) as number
      const zero = zeros.find((start) => code >= start && code < start + 10)
      return zero === undefined ? digit : String(code - zero)
    })
    .replace(/[\s\p{Cf}\p{Pd}.]/gu, '')
}
