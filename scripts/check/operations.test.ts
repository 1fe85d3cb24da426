import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { databaseVariables, type Deployable, processVariables, type Variable, variablesOf } from '../generate/k8s.ts'
import { findServices } from '../generate/services.ts'
import { run } from './run-part.ts'

// What an operator reads, alerts on and looks at names things of the code; a name that the code no longer knows is found here.

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const services = (await findServices(root)) as unknown as readonly Deployable[]
const guide = read('docs/operations.md')

/** The rows of the first table below a heading. */
function rowsBelow(heading: string): string[][] {
  const section = guide.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`docs/operations.md has no heading '${heading}'.`)
  const lines = section.split('\n')
  const start = lines.findIndex((line) => line.startsWith('|'))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  return lines.slice(start + 2, end).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

function defaultOf({ required, fallback }: Variable): string {
  if (required) return 'needed'
  if (fallback === undefined) return '–'
  return fallback === '' ? 'empty' : `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``
}
const expected = (variables: readonly Variable[]) =>
  Object.fromEntries(variables.map((variable) => [`\`${variable.name}\``, defaultOf(variable)]))
const documented = (heading: string) =>
  Object.fromEntries(rowsBelow(heading).map(([name = '', fallback = '']) => [name, fallback]))

describe('the environment in docs/operations.md', () => {
  test('of every service is what the processes read', () => {
    const own = databaseVariables.map((name) => ({ name, required: true, fallback: undefined }))
    expect(documented('Every service')).toEqual(expected([...own, ...processVariables()]))
  })

  test.each(services.map((service) => [service.name, service.config] as const))('of %s is what it reads', (name, config) => {
    expect(documented(name)).toEqual(expected(variablesOf(config)))
  })
})

/** Names as Prometheus sees them, out of the calls that make them. */
function metricsOfTheCode(): Map<string, 'counter' | 'histogram' | 'gauge'> {
  const kinds = { createCounter: 'counter', createHistogram: 'histogram', observe: 'gauge' } as const
  const folder = join(root, 'packages/runtime/src')
  const found = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...readFileSync(join(folder, file), 'utf8').matchAll(/\b(createCounter|createHistogram|observe)\(\s*'(parley\.[a-z._]+)'/g),
    ])
  return new Map(
    found.map(([, call = '', name = '']) => {
      const kind = kinds[call as keyof typeof kinds]
      return [`${name.replaceAll('.', '_')}${kind === 'counter' ? '_total' : ''}`, kind]
    }),
  )
}
const metrics = metricsOfTheCode()
const series = new Set(
  [...metrics].flatMap(([name, kind]) =>
    kind === 'histogram' ? ['bucket', 'count', 'sum'].map((part) => `${name}_${part}`) : [name],
  ),
)
const unknownIn = (text: string) => [...new Set(text.match(/\bparley_[a-z_]+\b/g))].filter((name) => !series.has(name))

interface Rules {
  groups: { rules: { alert: string; expr: string; labels: { severity: string } }[] }[]
}
const alerts = (parse(read('infra/prometheus/alerts.yaml')) as Rules).groups.flatMap(({ rules }) => rules)

describe('metrics and alerts', () => {
  test('every metric is documented, and nothing else', () => {
    expect(metrics.size).toBeGreaterThan(10)
    const named = rowsBelow('What to watch').map(([cell = '']) => /`(\w+)`/.exec(cell)?.[1] ?? '')
    expect(named.toSorted()).toEqual([...metrics.keys()].toSorted())
  })

  test('alerts and dashboards look at metrics that there are', () => {
    expect(alerts.flatMap(({ expr }) => unknownIn(expr))).toEqual([])
    const panels = JSON.parse(read('infra/grafana/dashboards/parley.json')) as { panels: { targets?: { expr: string }[] }[] }
    const expressions = panels.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    expect(expressions.length).toBeGreaterThan(15)
    expect(expressions.flatMap(unknownIn)).toEqual([])
    expect(unknownIn('sum(parley_no_such_thing)')).toEqual(['parley_no_such_thing'])
  })

  test('every metric is on the dashboard', () => {
    const dashboard = read('infra/grafana/dashboards/parley.json')
    expect([...metrics.keys()].filter((name) => !dashboard.includes(name))).toEqual([])
  })

  test('every alert says how urgent it is, and the guide says what to do', () => {
    expect(alerts.filter(({ labels }) => !['page', 'ticket'].includes(labels.severity))).toEqual([])
    expect(
      rowsBelow('Alerts')
        .map(([name = '']) => name)
        .toSorted(),
    ).toEqual(alerts.map(({ alert }) => alert).toSorted())
  })

  test('every service is scraped and missed when it is gone', () => {
    const names = services.map(({ name }) => name).toSorted()
    const scraped = (
      parse(read('infra/prometheus/prometheus.yaml')) as { scrape_configs: { dns_sd_configs: { names: string[] }[] }[] }
    ).scrape_configs
    expect(scraped.flatMap(({ dns_sd_configs }) => dns_sd_configs.flatMap((config) => config.names)).toSorted()).toEqual(names)
    const missing = alerts.find(({ alert }) => alert === 'ParleyServiceMissing')?.expr ?? ''
    expect([...missing.matchAll(/service="([a-z-]+)"/g)].map(([, name = '']) => name).toSorted()).toEqual(names)
  })

  const installed = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'promtool')))
  test.skipIf(!installed)(
    'alerts go off when they should, also at the first mishap (skipped where there is no promtool)',
    async () => {
      const { exitCode, output } = await run(root, ['promtool', 'test', 'rules', 'infra/prometheus/alerts.test.yaml'])
      expect(exitCode, output).toBe(0)
    },
  )
})
