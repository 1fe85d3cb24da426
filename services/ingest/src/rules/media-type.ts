/**
 * Whether a delivery's body is plain JSON in UTF-8; otherwise what is wrong, for the caller. None of our providers compresses or
 * sends anything else, so a compressed body is refused before one byte of it is unpacked (reliability.md A11, A12).
 */
export function mediaTypeProblem(contentType: string | undefined, contentEncoding: string | undefined): string | null {
  if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity')
    return 'The body must not be compressed.'
  if (contentType === undefined) return 'The content-type header is missing; it must be application/json.'
  // Blanks at the end are cut off first: a pattern that could give them to either of two places takes quadratic time.
  if (!/^application\/json *(; *charset="?utf-?8"? *)?;?$/i.test(contentType.trimEnd()))
    return 'The body must be application/json in UTF-8.'
  return null
}
