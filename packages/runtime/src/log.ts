import { context, trace } from '@opentelemetry/api'
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

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
    redact: {
      paths: ['authorization', 'token', 'secret', 'password', 'apiKey', 'text', 'phone', 'email', 'body', 'vcard', 'url'].flatMap(
        (field) => [field, `*.${field}`, `*.*.${field}`],
      ),
      censor: '[redacted]',
    },
  }
  return options.destination ? pino(settings, options.destination) : pino(settings)
}
