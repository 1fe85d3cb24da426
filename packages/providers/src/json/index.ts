export { BodyError, type BodyErrorCode } from './body-error.ts'
export { defaultJsonLimits, type ParsedBody, parseJson } from './parse.ts'
export type { JsonLimits } from './scan.ts'
