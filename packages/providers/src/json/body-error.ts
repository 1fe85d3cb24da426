export type BodyErrorCode =
  | 'invalid_utf8'
  | 'invalid_json'
  | 'too_deep'
  | 'too_many_keys'
  | 'too_many_items'
  | 'string_too_long'
  | 'forbidden_key'
  | 'duplicate_key'
  | 'number_out_of_range'

/** A body we refuse to read. The message names the place and never quotes the body, which may be personal. */
export class BodyError extends Error {
  override name = 'BodyError'
  readonly code: BodyErrorCode

  constructor(code: BodyErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
