import { type Attributes, ValueType } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import { AggregationTemporality, DataPointType, type GaugeMetricData, type MetricProducer } from '@opentelemetry/sdk-metrics'

interface Gauge {
  name: string
  description: string
  read(): { value: number; attributes: Attributes }[]
}

const gauges = new Set<Gauge>()

/** A gauge read at scrape time; the returned function removes it. Those of one name are shown as one. */
export function observe(name: string, description: string, read: Gauge['read']): () => void {
  const gauge = { name, description, read }
  gauges.add(gauge)
  return () => gauges.delete(gauge)
}

/**
 * What the gauges read at this moment. Not OpenTelemetry's own observable gauges: they keep whichever value has the later time, so that
 * after a clock was put back an hour they all stand still for an hour (LastValueAggregator.merge of @opentelemetry/sdk-metrics), and
 * nobody would see the outbox grow.
 */
export const gaugeProducer = (resource: Resource): MetricProducer => ({
  async collect() {
    const named = Map.groupBy(gauges, ({ name }) => name)
    const metrics = [...named.values()].map(toMetric)
    return { resourceMetrics: { resource, scopeMetrics: [{ scope: { name: 'parley' }, metrics }] }, errors: [] }
  },
})

function toMetric(parts: readonly Gauge[]): GaugeMetricData {
  const { name = '', description = '' } = parts[0] ?? {}
  const seconds = Date.now() / 1000
  const time: [number, number] = [Math.floor(seconds), 0]
  return {
    descriptor: { name, description, unit: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: parts.flatMap(({ read }) => read()).map((point) => ({ ...point, startTime: time, endTime: time })),
  }
}
