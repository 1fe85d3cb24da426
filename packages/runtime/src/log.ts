import { context, trace } from '@opentelemetry/api'
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

const longestField = 8 * 1024
const clip = (text: string) => (text.length > longestField ? `${text.slice(0, longestField)}… (${text.length} characters)` : text)

/**
 * What is logged of an error. Not its other fields: Postgres puts the refused row into `detail` and `where`, and clients put
 * the whole request there.
 */
function plainError(error: unknown, depth = 0): unknown {
  if (typeof error !== 'object' || error === null) return error
  const { name, code, constraint, message, stack, cause } = error as Error & { code?: unknown; constraint?: unknown }
  return {
    type: name,
    code,
    constraint,
    message: typeof message === 'string' ? clip(message) : message,
    stack: typeof stack === 'string' ? clip(stack) : undefined,
    cause: cause === undefined || depth >= 3 ? undefined : plainError(cause, depth + 1),
  }
}

/** A field that a stranger filled must not fill the log. */
function clipFields(fields: Record<string, unknown>): Record<string, unknown> {
  const long = Object.entries(fields).filter(([, value]) => typeof value === 'string' && value.length > longestField)
  return long.length === 0
    ? fields
    : { ...fields, ...Object.fromEntries(long.map(([name, value]) => [name, clip(value as string)])) }
}

/**
 * JSON lines with the trace they belong to. What a person wrote, their number and every credential stay out: fields of
 * those names are redacted wherever they are logged, as the last line of defence.
 */
export function openLog(options: { name: string; level: string; destination?: DestinationStream }): Logger {
  const settings = {
    name: options.name,
    level: options.level,
    base: { service: options.name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    mixin() {
      const span = trace.getSpanContext(context.active())
      return span ? { trace_id: span.traceId, span_id: span.spanId } : {}
    },
    serializers: { err: (error: unknown) => plainError(error) },
    formatters: { log: clipFields },
    redact: {
      paths: ['authorization', 'token', 'secret', 'password', 'apiKey', 'text', 'phone', 'email', 'body', 'vcard', 'url'].flatMap(
        (field) => [field, `*.${field}`, `*.*.${field}`],
      ),
      censor: '[redacted]',
    },
  }
  return options.destination ? pino(settings, options.destination) : pino(settings)
}
