import { resourceFromAttributes } from '@opentelemetry/resources'
import { expect, test, vi } from 'vitest'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { gaugeProducer, observe } from './gauges.ts'

/** As /metrics shows them. */
function openScrape() {
  const resource = resourceFromAttributes({})
  const exporter = new PrometheusExporter({ preventServerStart: true, metricProducers: [gaugeProducer(resource)] })
  new MeterProvider({ resource, readers: [exporter] })
  const serializer = new PrometheusSerializer()
  return async () => {
    const { resourceMetrics, errors } = await exporter.collect()
    expect(errors).toEqual([])
    const lines = serializer.serialize(resourceMetrics).split('\n')
    return lines.filter((line) => line.includes('test_level') && !line.startsWith('# TYPE'))
  }
}

test('a gauge shows what is true at the scrape, also after the clock was put back an hour', async () => {
  const scrape = openScrape()
  let value = 1
  const stop = observe('test.level', 'The level.', () => [{ value, attributes: { service: 'a' } }])
  const clock = vi.spyOn(Date, 'now')
  try {
    clock.mockReturnValue(Date.UTC(2026, 0, 1, 12))
    expect(await scrape()).toEqual(['# HELP test_level The level.', 'test_level{service="a",otel_scope_name="parley"} 1'])
    value = 2
    clock.mockReturnValue(Date.UTC(2026, 0, 1, 11))
    expect(await scrape()).toContain('test_level{service="a",otel_scope_name="parley"} 2')
  } finally {
    clock.mockRestore()
    stop()
  }
  expect(await scrape()).toEqual([])
})

test('gauges of one name are one metric', async () => {
  const scrape = openScrape()
  const stops = ['a', 'b'].map((service) => observe('test.level', 'The level.', () => [{ value: 1, attributes: { service } }]))
  expect(await scrape()).toEqual([
    '# HELP test_level The level.',
    'test_level{service="a",otel_scope_name="parley"} 1',
    'test_level{service="b",otel_scope_name="parley"} 1',
  ])
  for (const stop of stops) stop()
})
