import { type Attributes, context, metrics, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AggregationType, MeterProvider } from '@opentelemetry/sdk-metrics'
import {
  AlwaysOffSampler,
  TracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gaugeProducer } from './gauges.ts'

/** Trace and metric output of this process. */
export interface Telemetry {
  /** Answers a Prometheus scrape. */
  scrape(request: IncomingMessage, response: ServerResponse): void
  shutdown(): Promise<void>
}

let open: Telemetry | undefined

/**
 * Starts tracing and metrics, once per process. Spans are always created, so that every log line and event carries a trace id;
 * they are exported (OTLP over HTTP) only when `otlpEndpoint` is set, at `sampleRatio`.
 */
export function openTelemetry(options: {
  serviceName: string
  otlpEndpoint: string | undefined
  sampleRatio: number
}): Telemetry {
  if (open) return open
  const resource = resourceFromAttributes({ 'service.name': options.serviceName })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const provider = new TracerProvider({
    resource,
    sampler: options.otlpEndpoint
      ? new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) })
      : new AlwaysOffSampler(),
    spanProcessors: options.otlpEndpoint
      ? [
          new BatchSpanProcessor({
            exporter: new OTLPTraceExporter({ url: `${options.otlpEndpoint.replace(/\/$/, '')}/v1/traces` }),
          }),
        ]
      : [],
  })
  trace.setGlobalTracerProvider(provider)
  const exporter = new PrometheusExporter({ preventServerStart: true, metricProducers: [gaugeProducer(resource)] })
  const meters = new MeterProvider({
    resource,
    readers: [exporter],
    views: [
      {
        instrumentName: '*.duration',
        aggregation: {
          type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
          options: { boundaries: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] },
        },
      },
    ],
  })
  metrics.setGlobalMeterProvider(meters)
  open = {
    scrape: (request, response) => exporter.getMetricsRequestHandler(request, response),
    async shutdown() {
      await provider.shutdown()
      await meters.shutdown()
    },
  }
  return open
}

const tracer = () => trace.getTracer('parley')

/** W3C trace context of the span that is current, '' outside any. */
export function currentTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active())
  return span ? `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}` : undefined
}

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** Runs `work` in a span below the given trace context, or the current one. The span ends with it and records its error. */
export async function inSpan<T>(
  name: string,
  options: { kind?: SpanKind; parent?: string | undefined; attributes?: Attributes },
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const parent = options.parent === undefined ? null : traceparentPattern.exec(options.parent)
  const base = parent
    ? trace.setSpanContext(context.active(), {
        traceId: parent[1] as string,
        spanId: parent[2] as string,
        traceFlags: Number.parseInt(parent[3] as string, 16),
        isRemote: true,
      })
    : context.active()
  const span = tracer().startSpan(name, { kind: options.kind ?? SpanKind.INTERNAL, attributes: options.attributes ?? {} }, base)
  try {
    return await context.with(trace.setSpan(base, span), work, undefined, span)
  } catch (error) {
    span.recordException(error as Error)
    span.setStatus({ code: SpanStatusCode.ERROR })
    throw error
  } finally {
    span.end()
  }
}
export { SpanKind }

/** The meters of the runtime. Asked for lazily: a meter made before the provider is set would count into nothing. */
function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}
const meter = () => metrics.getMeter('parley')

export const meters = {
  requests: lazily(() =>
    meter().createHistogram('parley.http.duration', { unit: 's', description: 'HTTP requests by service, route and status.' }),
  ),
  handled: lazily(() =>
    meter().createCounter('parley.events.handled', {
      description: 'Events handled, by service, handler and outcome (done, duplicate, parked, dead).',
    }),
  ),
  handling: lazily(() =>
    meter().createHistogram('parley.events.commit.duration', { unit: 's', description: 'Group commits of event handlers.' }),
  ),
  published: lazily(() => meter().createCounter('parley.outbox.published', { description: 'Events published by the relay.' })),
  publishFailures: lazily(() =>
    meter().createCounter('parley.outbox.publish_failures', {
      description: 'Publish attempts that did not succeed and are tried again.',
    }),
  ),
  jobRuns: lazily(() =>
    meter().createHistogram('parley.jobs.duration', { unit: 's', description: 'Job runs by service, job and outcome.' }),
  ),
  deadLetters: lazily(() => meter().createCounter('parley.dead_letters', { description: 'Events and jobs given up on.' })),
  effects: lazily(() => meter().createCounter('parley.effects', { description: 'Outside effects by kind and outcome.' })),
  webhooks: lazily(() => meter().createCounter('parley.webhooks', { description: 'Webhook requests by provider and verdict.' })),
}

export { observe } from './gauges.ts'
